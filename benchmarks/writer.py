"""A long text by segments: memory and time from the first section to the last; beside it, in one go.

    python benchmarks/writer.py MODEL.gguf --language zh|en [--topic TEXT] [--audience TEXT]
                                [--chars 6000] [--out DIR] [--no-whole]

Writes a report of so many characters exactly as the app does, measures the worker's memory (PSS
where the system tells it) every half second, and then asks the same model for the same text in a
single answer. Prints every section and these ratios of the later half to the earlier one, 1 being
flat: memory, seconds per written token, largest prompt. --out keeps the text (Markdown) and all
figures (JSON).
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from talk import home_with
from twokeys.config import load_config
from twokeys.core.guard import GuardSettings
from twokeys.core.metrics import length_score, repetition, tail_repetition, text_tokens
from twokeys.core.writer.project import Project, length_from_chars
from twokeys.core.writer.view import ProjectView, SectionView
from twokeys.manuscript import export_project
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

TOPICS = {
    "zh": ("城市社区怎样建好老年食堂", "社区工作人员"),
    "en": ("How a small town can run a repair café", "volunteers"),
}
WHOLE = {
    "zh": "请写一篇关于“{topic}”的报告，读者是{audience}，全文约{length}字，分章节，写完整。",
    "en": "Write a complete report on “{topic}” for {audience}, in chapters, about {length} words long.",
}
EVERY_S = 0.5
WHOLE_TOKENS = 7000


class MemoryLog:
    """The worker's memory over time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._over = threading.Event()
        self.taken: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryLog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            used = self._services.engines.meter()["memory_bytes"]
            if used:
                self.taken.append((time.time(), used))

    def most(self, begin: float, end: float) -> int:
        """Return the most bytes between two moments, 0 when none were measured."""
        return max((used for when, used in self.taken if begin <= when <= end), default=0)


@dataclass(frozen=True)
class SectionRow:
    """One section. seconds, tokens: of all its answers; memory_mib: the most while it was written."""

    number: str
    title: str
    asked: int
    length: int
    score: float
    seconds: float
    tokens: int
    prompt_tokens: int
    memory_mib: float
    steps: str
    loops_cut: int
    problem: str


def section_row(section: SectionView, memory: MemoryLog) -> SectionRow:
    versions = section.versions
    end = versions[-1].created_at
    begin = versions[0].created_at - versions[0].seconds
    return SectionRow(
        section.number,
        section.node.title,
        section.node.length,
        section.length,
        round(section.score or 0.0, 1),
        round(sum(version.seconds for version in versions), 1),
        sum(version.tokens for version in versions),
        section.prompt_tokens,
        round(memory.most(begin, end) / 2**20, 1),
        "+".join(version.operation for version in versions),
        sum(version.loops for version in versions),
        section.problem or "",
    )


def by_segments(services: Services, project: Project) -> dict[str, Any]:
    writer = services.writer
    made = writer.new(project)
    with MemoryLog(services) as memory:
        started = time.monotonic()
        writer.make_outline(made)
        writer.wait(made, 1800)
        outline_s = time.monotonic() - started
        print(f"outline: {outline_s:.0f} s, {len(writer.view(made).sections)} sections", file=sys.stderr)
        writer.start(made)
        view = wait(services, made)
        wall_s = time.monotonic() - started
    rows = [section_row(section, memory) for section in view.sections if section.versions]
    quality = writer.quality(made, view)
    return {
        "state": view.state,
        "outline_by": view.origin,
        "outline_s": round(outline_s, 1),
        "wall_s": round(wall_s, 1),
        "asked": view.asked,
        "length": view.length,
        "score": round(length_score(project.length, view.length), 1),
        "rep_n": round(quality.rep_n, 4),
        "n": quality.n,
        "repeated_sentences": len(writer.repeated(made)),
        "loops_left": sum(section.problem == "loop" for section in view.sections),
        "prompt_budget": view.budget.prompt,
        "largest_prompt": view.largest_prompt,
        "sections": [asdict(row) for row in rows],
        "ratios": ratios(rows),
        "text": export_project(view, "md").decode("utf-8"),
    }


def wait(services: Services, made: str) -> ProjectView:
    """Wait for the end of the writing and tell every section as it gets ready."""
    seen: set[str] = set()
    while True:
        view = services.writer.wait(made, 5)
        for section in view.sections:
            if section.state == "done" and section.node.id not in seen:
                seen.add(section.node.id)
                print(
                    f"{section.number} {section.node.title}: {section.length}/{section.node.length}",
                    file=sys.stderr,
                )
        if not view.active:
            return view


def ratios(rows: list[SectionRow]) -> dict[str, float]:
    """Return what the later half of the sections takes beside the earlier half."""
    half = len(rows) // 2
    first, last = rows[:half], rows[-half:]

    def of(figure: Callable[[SectionRow], float]) -> float:
        return round(statistics.median(map(figure, last)) / statistics.median(map(figure, first)), 3)

    return {
        "memory": of(lambda row: row.memory_mib),
        "seconds_per_token": of(lambda row: row.seconds / max(1, row.tokens)),
        "prompt_tokens": of(lambda row: row.prompt_tokens),
    }


def in_one_go(services: Services, project: Project) -> dict[str, Any]:
    """The same text asked for in a single answer, as long as the context allows, unwatched."""
    sampling = Sampling(max_new_tokens=WHOLE_TOKENS, seed=7)
    guard = dict.fromkeys(asdict(GuardSettings()), "off")
    chat = services.conversations.new(Settings(sampling=sampling, guard=guard))
    asked = WHOLE[project.language].format(
        topic=project.topic, audience=project.audience, length=project.length
    )
    with MemoryLog(services) as memory:
        started = time.time()
        sent = services.answers.send(chat.id, asked, n_probs=0)
        services.jobs.wait(sent.job.id, 3600)
        ended = time.time()
    message = services.repository.get_message(sent.answer_message.id)
    text, unit = message.content, "chars" if project.language == "zh" else "words"
    n = 8 if unit == "chars" else 4
    length = project.length_of(text)
    return {
        "finish_reason": message.finish_reason,
        "tokens": message.provenance.completion_tokens,
        "wall_s": round(ended - started, 1),
        "length": length,
        "score": round(length_score(project.length, length), 1),
        "rep_n": round(repetition(text_tokens(text), n), 4),
        "rep_n_last_quarter": round(tail_repetition(text_tokens(text), n), 4),
        "memory_mib": round(memory.most(started, ended) / 2**20, 1),
        "text": text,
    }


COLUMNS = ("asked", "length", "score", "seconds", "tokens", "prompt_tokens", "memory_mib")


def show(result: dict[str, Any]) -> None:
    parts = result["segments"]
    print(f"{'section':24}" + "".join(f"{name:>14}" for name in COLUMNS))
    for row in parts["sections"]:
        place = f"{row['number']} {row['title'][:18]}"
        print(f"{place:24}" + "".join(f"{row[name]:>14}" for name in COLUMNS))
    for name, part in (("segments", parts), ("in one go", result.get("whole"))):
        if part:
            figures = {key: value for key, value in part.items() if key not in ("text", "sections")}
            print(f"{name}: {json.dumps(figures, ensure_ascii=False)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--language", choices=("zh", "en"), default="zh")
    parser.add_argument("--topic")
    parser.add_argument("--audience")
    parser.add_argument("--chars", type=int, default=6000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-whole", action="store_true", help="leave out the single answer")
    options = parser.parse_args()
    topic, audience = TOPICS[options.language]
    project = Project(
        options.topic or topic,
        language=options.language,
        length=length_from_chars(options.chars, options.language),
        audience=options.audience or audience,
    )
    with home_with(options.model) as home:
        services = build_services(load_config({"TWOKEYS_HOME": str(home)}))
        try:
            result: dict[str, Any] = {"model": options.model.stem, "project": project.to_dict()}
            result["segments"] = by_segments(services, project)
            if not options.no_whole:
                result["whole"] = in_one_go(services, project)
        finally:
            services.close()
    show(result)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = f"writer-{options.language}"
        text = result["segments"].pop("text")
        (options.out / f"{name}.md").write_text(text, encoding="utf-8")
        if "whole" in result:
            (options.out / f"{name}-in-one-go.md").write_text(result["whole"].pop("text"), encoding="utf-8")
        figures = json.dumps(result, ensure_ascii=False, indent=1)
        (options.out / f"{name}.json").write_text(figures + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
