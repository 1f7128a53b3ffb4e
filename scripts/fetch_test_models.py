"""Fetch the two small real models that the tests run on, checked by SHA-256.

They go to TWOKEYS_TEST_MODELS (default: .cache/models in the checkout) and are fetched once.
"""

import os
import sys
from pathlib import Path

from twokeys.config import load_config, prepare_home
from twokeys.models.manager import ModelManager

TEST_MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")


def main() -> int:
    default = Path(__file__).resolve().parent.parent / ".cache" / "models"
    target = Path(os.environ.get("TWOKEYS_TEST_MODELS") or default)
    target.mkdir(parents=True, exist_ok=True)
    config = load_config({"TWOKEYS_HOME": str(target.parent / "home"), **_hub_settings()})
    prepare_home(config)
    manager = ModelManager(config)
    for name in TEST_MODELS:
        wanted = target / f"{name}.gguf"
        if wanted.exists():
            continue
        print(f"fetching {name} …", flush=True)
        installed = manager.pull(name)
        installed.path.replace(wanted)
    return 0


def _hub_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "TWOKEYS_HOME"}


if __name__ == "__main__":
    sys.exit(main())
