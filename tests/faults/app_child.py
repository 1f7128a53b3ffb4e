"""An app in a process of its own, to be killed: asks one question and reports the answer's growth.

    python app_child.py scripted|MODEL.gguf [--file-limit]

Prints JSON lines: {"conversation", "message"} first, then {"text"} several times a second.
--file-limit: after some text, no file may grow any more (a full disk as the database sees it);
at the end {"state", "error", "notices"}, and after the limit is lifted {"stored"}.
"""

import json
import resource
import sys
import time

from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import build_services
from twokeys.types import Sampling, Settings


def say(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    kind = sys.argv[1]
    limited = "--file-limit" in sys.argv
    numbers = " ".join(f"{n * 7919 % 10007}" for n in range(400 if limited else 4000))
    engine = ScriptedEngine([Say(numbers, delay_s=0.004)]) if kind == "scripted" else None
    services = build_services(load_config(model=None if engine else kind), engine=engine)
    settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=8000), guard={"loop": "off"})
    topic = services.conversations.new(settings)
    notices: list[object] = []
    services.jobs.topics.subscribe(
        topic.id, lambda event: notices.append(event["error"]) if event["type"] == "notice" else None
    )
    sent = services.answers.send(topic.id, "Count upwards for a long time, please.")
    say(conversation=topic.id, message=sent.answer_message.id)
    view = services.jobs.view(sent.job.id)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    while view is not None and view.active:
        say(text=view.text)
        if limited and len(view.text) > 200:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        time.sleep(0.05)
        view = services.jobs.view(sent.job.id)
    if view is None:
        raise SystemExit("the job is gone")
    say(state=view.state, text=view.text, unsaved=view.unsaved, notices=notices)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    deadline = time.monotonic() + 20
    while services.jobs.views(topic.id) and time.monotonic() < deadline:
        time.sleep(0.05)
    say(stored=services.repository.get_message(sent.answer_message.id).content, notices=notices)
    services.close()


main()
