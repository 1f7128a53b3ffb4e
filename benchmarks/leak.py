"""Whether the app grows: memory over many chats, comparisons, sections of long texts and lab answers.

    python benchmarks/leak.py [--chats 1000] [--comparisons 200] [--sections 50] [--answers 500] [--json]

Everything of the app but the model: the scripted engine writes, the store, the jobs, the guard, the
writer and the lab are the real ones, in one process that has loaded what `twokeys ui` loads. After each
tenth of a kind of work the process's own memory is read (`own_memory.py`). Printed for
each kind: memory after its first tenth and at its highest afterwards, and the ratio of the two, which is
to stay below 1.10. Leaves out the browser, the web server and the engine's process.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from own_memory import own_bytes
from twokeys.config import load_config
from twokeys.core.study.prompt import StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.core.writer.project import Project
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.types import GenerationRequest, Sampling, Settings
from twokeys.web import streamlit_seams

GOAL_RATIO = 1.10
WAIT_S = 60.0
PROMPTS = 5
TENTHS = 10
WORDS = (
    *("river", "stone", "light", "window", "garden", "market", "engine"),
    *("letter", "winter", "harbor", "signal", "copper", "valley", "thread"),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """One kind of work. Memory in bytes; seconds: for all of it."""

    work: str
    count: int
    first_tenth_bytes: int
    highest_bytes: int
    seconds: float

    @property
    def ratio(self) -> float:
        return self.highest_bytes / self.first_tenth_bytes


def prose(words: int, seed: int) -> str:
    """Return sentences of which no two are alike."""
    sentences = (
        f"The {WORDS[n % 14]} of number {n} was seen beside the {WORDS[(n * 5 + 3) % 14]} in the evening."
        for n in range(seed * 1000, seed * 1000 + words // 13 + 1)
    )
    return " ".join(sentences)


class Author:
    """Writes as much as it is asked for, ever other text."""

    def __init__(self) -> None:
        self._answers = 0

    def __call__(self, request: GenerationRequest) -> Sequence[Say]:
        self._answers += 1
        asked = re.findall(r"(?:about|约) (\d+)", request.messages[-1].content)
        return [Say(prose(int(asked[-1]) if asked else 150, self._answers))]


def grow(work: str, count: int, step: Callable[[int], None], engine: ScriptedEngine) -> Growth:
    """Do the work `count` times (its step is told how often), and watch memory after each tenth."""
    began = time.monotonic()
    tenths: list[int] = []
    for part in range(TENTHS):
        step(count * (part + 1) // TENTHS - count * part // TENTHS)
        engine.requests.clear()  # the scripted engine keeps them for tests
        tenths.append(own_bytes())
    return Growth(work, count, tenths[0], max(tenths[1:]), time.monotonic() - began)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit("the work did not end")
        time.sleep(0.002)


def chats(services: Services) -> Callable[[int], None]:
    def step(times: int) -> None:
        for number in range(times):
            conversation = services.conversations.new(Settings())
            sent = services.answers.send(conversation.id, f"Tell me of the number {number}.")
            view = services.jobs.wait(sent.job.id, WAIT_S)
            if view.state != "done":
                raise SystemExit(f"a chat ended as {view.state}")

    return step


def comparisons(services: Services) -> Callable[[int], None]:
    settings = Settings()

    def step(times: int) -> None:
        for number in range(times):
            columns = services.compare.default_columns(settings)
            begun = services.compare.start(f"What of {number}?", columns, settings=settings)
            until(lambda: not services.compare.stored.get(begun.id).active)  # noqa: B023  # waits at once

    return step


def sections(services: Services) -> Callable[[int], None]:
    """Long texts of at least as many sections as are asked for."""

    def step(times: int) -> None:
        written = 0
        while written < times:
            made = services.writer.new(Project("Tea", kind="essay", language="en", length=600))
            services.writer.use_rules(made)
            services.writer.start(made)
            view = services.writer.wait(made, WAIT_S)
            written += len(view.sections)

    return step


def lab_answers(services: Services) -> Callable[[int], None]:
    def step(times: int) -> None:
        study = Study(
            name="leak",
            prompts=tuple(StudyPrompt(f"p{n}", f"What of {n}?", "explain") for n in range(PROMPTS)),
            cells=grid_cells({"temperature": [0.3, 1.0]}),
            seeds=max(1, times // (2 * PROMPTS)),
            base=Sampling(max_new_tokens=200),
        )
        view = services.lab.create(study)
        services.lab.start(view.id)
        ended = services.lab.wait(view.id, WAIT_S)
        if ended.state != "done":
            raise SystemExit(f"a study ended as {ended.state}: {ended.error}")

    return step


def measure(counts: dict[str, int]) -> list[Growth]:
    kinds = {"chats": chats, "comparisons": comparisons, "sections": sections, "answers": lab_answers}
    streamlit_seams.check()
    engine = ScriptedEngine(Author(), context=16384, slots=3)
    with tempfile.TemporaryDirectory() as home:
        services = build_services(load_config({"TWOKEYS_HOME": home}), engine=engine)
        try:
            return [grow(kind, counts[kind], kinds[kind](services), engine) for kind in kinds if counts[kind]]
        finally:
            services.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for kind, count in (("chats", 1000), ("comparisons", 200), ("sections", 50), ("answers", 500)):
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = measure({kind: getattr(args, kind) for kind in ("chats", "comparisons", "sections", "answers")})
    for result in results:
        if args.json:
            print(json.dumps({**asdict(result), "ratio": round(result.ratio, 3)}))
        else:
            print(
                f"{result.work:12} {result.count:5}  {result.first_tenth_bytes / 2**20:6.0f} MiB → "
                f"{result.highest_bytes / 2**20:6.0f} MiB  ratio {result.ratio:.3f}  {result.seconds:.0f} s"
            )
    return int(any(result.ratio > GOAL_RATIO for result in results))


if __name__ == "__main__":
    sys.exit(main())
