"""The app over a home in which every screen has something to show: `serve_furnished.py HOME`.

A scripted engine has answered, compared, written a section and run a study before the server starts; the
parts of the address that open these stand in a file of the home, by their pages.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.browser.serve_scripted import FRESH, GOOD, LOOP

from twokeys.config import load_config
from twokeys.core.study.study import Study
from twokeys.core.writer.project import Project
from twokeys.engines.scripted import Say, ScriptedEngine, Step
from twokeys.services import Services, build_services
from twokeys.types import GenerationRequest, SavedPrompt
from twokeys.ui.screens import site
from twokeys.web.server import serve

RICH = """## A walk

The fox **sleeps** by day[^1] and costs $5. Formula: $a^2 + b^2 = c^2$

| animal | nights |
|---|---|
| fox | 3 |

> quoted words

1. first
   - within

```python
def fox(nights: int) -> str:
    # sleeps by day
    return "fox" * nights
```
"""
STUDY = Study.from_dict(
    {
        "name": "small",
        "prompts": ["fact-en:6"],
        "seeds": 1,
        "outcomes": ["correct", "tokens"],
        "base": {"max_new_tokens": 32},
        "grid": {"temperature": [0.3, 1.0]},
    }
)
WAIT_S = 30.0


def play(request: GenerationRequest) -> Sequence[Step]:
    """Return what is written: as the question asks, else like a person who talks of foxes."""
    question = request.messages[-1].content
    if question == "loop":
        return [Say(GOOD), Say(LOOP * 40)]
    if question == "guess":
        return [Say(" ".join(FRESH[:8])), Say(" ".join(FRESH[40:48]), logprob=-1.8)]
    if question == "slow":
        return [Say(GOOD * 40, 0.02)]
    if question == "rich":
        return [Say(RICH)]
    return [Say(GOOD if request.sampling.temperature < 0.5 else GOOD + FRESH[1])]


def furnish(services: Services) -> dict[str, str]:
    """Fill the home; return the address of each thing, by its page."""
    conversation = services.conversations.new()
    for question in ("rich", "guess", "loop"):
        services.jobs.wait(services.answers.send(conversation.id, question, n_probs=5).job.id, WAIT_S)
    services.conversations.tag(conversation.id, ("animals",))
    compare = services.compare
    blind = compare.start("Where does the fox live?", compare.default_columns(), blind=True)
    comparison = compare.start("Where does the fox live?", compare.default_columns())
    project = services.writer.new(Project("All about foxes", language="en", length=600))
    services.writer.use_rules(project)
    section = services.writer.view(project).sections[0]
    services.writer.edit(project, section.node.id, " ".join(FRESH[:20]))
    study = services.lab.create(STUDY)
    services.lab.start(study.id)
    services.lab.wait(study.id, WAIT_S)
    services.prompts.save(
        SavedPrompt("Fox", "Where does the {{animal}} sleep?", {"temperature": 0.3}, "Be short.")
    )
    until = time.monotonic() + WAIT_S
    while any(compare.stored.get(made.id).active for made in (blind, comparison)):
        if time.monotonic() > until:
            raise TimeoutError("the comparisons did not end")
        time.sleep(0.05)
    return {
        "chat": f"?c={conversation.id}",
        "compare": f"compare?cmp={comparison.id}",
        "vote": f"compare?cmp={blind.id}",
        "writing": f"writing?w={project}",
        "lab": f"lab?s={study.id}",
    }


def main() -> None:
    home = Path(sys.argv[1])
    engine = ScriptedEngine(play, model="scripted", memory=600 << 20)
    services = build_services(load_config({**os.environ, "TWOKEYS_HOME": str(home)}), engine=engine)
    (home / "places.json").write_text(json.dumps(furnish(services)), encoding="utf-8")
    serve(
        services,
        site(),
        "127.0.0.1",
        0,
        open_browser=False,
        on_listening=lambda listening: print(json.dumps({"url": listening.url}), flush=True),
    )


if __name__ == "__main__":
    main()
