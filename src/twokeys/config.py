"""Where things are kept and what the surroundings say. Read once, by the composition root.

Does not create folders or open files except in `prepare_home`.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from twokeys.errors import BadParameter, Reason, store_error

HF_ENDPOINT = "https://huggingface.co"
MODELSCOPE_ENDPOINT = "https://modelscope.cn"
ENGINE_RELEASES = "https://api.github.com/repos/ggml-org/llama.cpp/releases/latest"
LONGEST_IDLE_S = 7 * 24 * 3600.0
MOST_SERVER_SLOTS = 64


@dataclass(frozen=True, slots=True)
class Config:
    """The surroundings of one running TwoKeys.

    home: data folder (TWOKEYS_HOME, else the platform's user data folder).
    hf_endpoint / modelscope_endpoint: base URLs of the two hubs (HF_ENDPOINT, MODELSCOPE_ENDPOINT).
    server_binary: a llama-server to prefer (TWOKEYS_LLAMA_SERVER).
    model: --model or TWOKEYS_MODEL: a catalogue name, a .gguf path or a server's URL.
    idle_timeout_s: end the engine after so long without a request, 0 never (TWOKEYS_IDLE_TIMEOUT_S);
    what a person chose on the settings page comes first.
    engine_releases: where the newest release of llama.cpp is listed (TWOKEYS_ENGINE_RELEASES). engine_mirror:
    stands in for https://github.com when its files are fetched (TWOKEYS_ENGINE_MIRROR).
    server_key, server_slots: for the server that `model` names (TWOKEYS_SERVER_KEY, TWOKEYS_SERVER_SLOTS).
    """

    home: Path
    hf_endpoint: str = HF_ENDPOINT
    modelscope_endpoint: str = MODELSCOPE_ENDPOINT
    server_binary: str | None = None
    model: str | None = None
    idle_timeout_s: float = 0.0
    server_key: str | None = field(default=None, repr=False)
    server_slots: int | None = None
    engine_releases: str = ENGINE_RELEASES
    engine_mirror: str = ""

    @property
    def database(self) -> Path:
        return self.home / "twokeys.db"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def engines_dir(self) -> Path:
        """Builds of llama.cpp beside the bundled one."""
        return self.home / "engines"

    @property
    def run_dir(self) -> Path:
        """Short-lived files of running processes: worker registry, locks, slot files."""
        return self.home / "run"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def servers_file(self) -> Path:
        """Keys and slots of servers, readable by the owner only."""
        return self.home / "servers.json"

    @property
    def backups_dir(self) -> Path:
        return self.home / "backups"


def load_config(env: Mapping[str, str] | None = None, *, model: str | None = None) -> Config:
    """Build the Config from environment variables; nothing is created on disk.

    Raises BadParameter for an idle time-out that is no number of seconds from 0 to LONGEST_IDLE_S, and for
    slots that are no number from 1 to MOST_SERVER_SLOTS.
    """
    env = os.environ if env is None else env
    home = env.get("TWOKEYS_HOME") or platformdirs.user_data_dir("twokeys", appauthor=False)
    return Config(
        home=Path(home).expanduser().resolve(),
        hf_endpoint=(env.get("HF_ENDPOINT") or HF_ENDPOINT).rstrip("/"),
        modelscope_endpoint=(env.get("MODELSCOPE_ENDPOINT") or MODELSCOPE_ENDPOINT).rstrip("/"),
        server_binary=env.get("TWOKEYS_LLAMA_SERVER") or None,
        model=model or env.get("TWOKEYS_MODEL") or None,
        idle_timeout_s=_seconds("TWOKEYS_IDLE_TIMEOUT_S", env.get("TWOKEYS_IDLE_TIMEOUT_S") or "0"),
        server_key=env.get("TWOKEYS_SERVER_KEY") or None,
        server_slots=_slots(env.get("TWOKEYS_SERVER_SLOTS") or ""),
        engine_releases=env.get("TWOKEYS_ENGINE_RELEASES") or ENGINE_RELEASES,
        engine_mirror=(env.get("TWOKEYS_ENGINE_MIRROR") or "").rstrip("/"),
    )


def _slots(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SERVER_SLOTS:
        allowed = f"1 … {MOST_SERVER_SLOTS}"
        raise BadParameter(field="TWOKEYS_SERVER_SLOTS", value=text, allowed=allowed)
    return int(text)


def _seconds(field: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_IDLE_S:
        raise BadParameter(
            field=field, value=text, allowed=Reason("errors.allowed.seconds", most=int(LONGEST_IDLE_S))
        )
    return seconds


def prepare_home(config: Config) -> None:
    """Create the data folders, readable by their owner only. Raises StoreError."""
    for folder in (config.home, config.models_dir, config.run_dir, config.logs_dir, config.backups_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) != 0o700:
                folder.chmod(0o700)
        except OSError as exc:
            raise store_error(exc, folder) from exc
