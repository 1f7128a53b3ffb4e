"""An app in a process of its own, to be killed while it writes a long text.

    python writer_child.py PROJECT_ID|new SECONDS_PER_TOKEN

Prints JSON lines: {"project"} first, then {"done": [section ids], "writing": text} ten times a second,
and {"end": state} when everything is written.
"""

import json
import sys
import time

from tests.core.writer.scripts import author

from twokeys.config import load_config
from twokeys.core.writer.project import Project
from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import build_services


def say(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    services = build_services(load_config(), engine=ScriptedEngine(author(delay_s=float(sys.argv[2]))))
    project = sys.argv[1]
    if project == "new":
        project = services.writer.new(Project("Tea", kind="essay", language="en", length=600))
        services.writer.use_rules(project)
    say(project=project)
    services.writer.start(project)
    while True:
        view = services.writer.view(project)
        writing = next((section.text for section in view.sections if section.state == "writing"), "")
        say(done=[section.node.id for section in view.sections if section.state == "done"], writing=writing)
        if not view.active:
            break
        time.sleep(0.1)
    say(end=view.state)
    services.close()


main()
