"""Where things are kept and what the surroundings say. Read once, by the composition root.

Does not create folders or open files except in `prepare_home`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HF_ENDPOINT = "https://huggingface.co"
MODELSCOPE_ENDPOINT = "https://modelscope.cn"


@dataclass(frozen=True, slots=True)
class Config:
    """The surroundings of one running TwoKeys.

    home: data folder (TWOKEYS_HOME, else the platform's user data folder).
    hf_endpoint / modelscope_endpoint: base URLs of the two hubs (HF_ENDPOINT, MODELSCOPE_ENDPOINT).
    server_binary: a llama-server to prefer (TWOKEYS_LLAMA_SERVER).
    model: --model or TWOKEYS_MODEL: a catalogue name, a .gguf path or a server's URL.
    """

    home: Path
    hf_endpoint: str = HF_ENDPOINT
    modelscope_endpoint: str = MODELSCOPE_ENDPOINT
    server_binary: str | None = None
    model: str | None = None
    idle_timeout_s: float = 0.0

    @property
    def database(self) -> Path:
        return self.home / "twokeys.db"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def run_dir(self) -> Path:
        """Short-lived files of running processes: worker registry, locks, slot files."""
        return self.home / "run"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def backups_dir(self) -> Path:
        return self.home / "backups"


def load_config(env: Mapping[str, str] | None = None, *, model: str | None = None) -> Config:
    """Build the Config from environment variables; nothing is created on disk."""
    env = os.environ if env is None else env
    home = env.get("TWOKEYS_HOME") or platformdirs.user_data_dir("twokeys", appauthor=False)
    return Config(
        home=Path(home).expanduser().resolve(),
        hf_endpoint=(env.get("HF_ENDPOINT") or HF_ENDPOINT).rstrip("/"),
        modelscope_endpoint=(env.get("MODELSCOPE_ENDPOINT") or MODELSCOPE_ENDPOINT).rstrip("/"),
        server_binary=env.get("TWOKEYS_LLAMA_SERVER") or None,
        model=model or env.get("TWOKEYS_MODEL") or None,
        idle_timeout_s=float(env.get("TWOKEYS_IDLE_TIMEOUT_S") or 0.0),
    )


def prepare_home(config: Config) -> None:
    """Create the data folders, readable by their owner only."""
    for folder in (config.home, config.models_dir, config.run_dir, config.logs_dir, config.backups_dir):
        folder.mkdir(parents=True, exist_ok=True)
        if os.name == "posix":
            folder.chmod(0o700)
