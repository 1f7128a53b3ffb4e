"""An app that may open 160 files, as a process of its own: `limited_server.py`.

Prints {"url": …}. Its door is locked, as it is by default.
"""

import json
import resource

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import build_services
from twokeys.ui.screens import site
from twokeys.web.entry import load_entry
from twokeys.web.server import serve

FILES = 160


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    config = load_config()
    services = build_services(config, engine=ScriptedEngine([Say("Good.")]))
    serve(
        services,
        site(),
        "127.0.0.1",
        0,
        open_browser=False,
        entry=load_entry(config.home),
        on_listening=lambda listening: print(json.dumps({"url": listening.url}), flush=True),
    )


if __name__ == "__main__":
    main()
