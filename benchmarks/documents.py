"""Documents before a question: how fast they are read, and what the second question costs.

    python benchmarks/documents.py MODEL.gguf [--json]

pages    pages per second that a reader takes out of a made PDF of 200 pages, its child process included
second   time to first token of question 2 ÷ question 1 on a document of about 3000 tokens (goal ≤ 0.15)
two      the same of a second question in each of two conversations that alternate, each with a document
         of its own of 1000 tokens, with PROMPT_CACHE_MIB of memory granted to parked prompts; beside
         it without that

Figures are of one run on one machine; each measurement starts an engine of its own. On two busy
cores with SmolLM2 all of it takes under three minutes.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.documents.corpus import pdf

from twokeys.config import load_config
from twokeys.core.memory.overrides import Overrides
from twokeys.documents import Document, read_document
from twokeys.services import Services, build_services
from twokeys.types import Sampling, Settings

PAGES = 200
DOCUMENT_TOKENS = 3000
TWO_TOKENS = 1000
"""Of each of two documents."""
PROMPT_CACHE_MIB = 512
QUESTIONS = ("What is the delivery date in clause 7?", "Who pays for each day of delay?")
GOAL = 0.15


def measure_pages() -> dict[str, Any]:
    """Read a long PDF in the child process that reads every file."""
    data = pdf("en", pages=PAGES)
    started = time.perf_counter()
    document = read_document(data, "long.pdf")
    seconds = time.perf_counter() - started
    return {"pages": document.total, "seconds": round(seconds, 2), "pages_per_s": round(PAGES / seconds, 1)}


def long_document(services: Services, name: str, tokens: int) -> Document:
    """Return a document of about so many tokens; the name makes it another one."""
    text = f"# Contract {name}\n\n" + read_document(pdf("en", pages=40), "long.pdf").text
    document = read_document(text.encode(), f"{name}.md")
    [counted] = services.draft_files.count([document], start=True).attachments
    length = len(document.text) * tokens // counted.tokens
    return read_document(document.text[:length].encode(), f"{name}.md")


def first_tokens(services: Services, names: Sequence[str], tokens: int) -> list[list[float]]:
    """Ask both questions in a conversation for each name, the conversations in turns; return seconds."""
    settings = Settings(sampling=Sampling(temperature=0.0, max_new_tokens=16, seed=1))
    chats = {name: services.conversations.new(settings) for name in names}
    seconds: list[list[float]] = []
    for number, question in enumerate(QUESTIONS):
        row: list[float] = []
        for name in names:
            documents = [long_document(services, name, tokens)] if number == 0 else []
            attachments = services.draft_files.count(documents, start=True).attachments
            sent = services.answers.send(chats[name].id, question, attachments=attachments)
            services.jobs.wait(sent.job.id, 600.0)
            answer = services.conversations.message(sent.answer_message.id)
            row.append(answer.provenance.timings.ttft_s or 0.0)
        seconds.append(row)
    return seconds


def measure_second(
    model: Path, names: Sequence[str], tokens: int, *, cache_mib: int | None = None
) -> dict[str, Any]:
    """Return both times to first token and the worst ratio, with a home of its own.

    names: one for each document; tokens: its length; cache_mib: memory granted to parked prompts.
    """
    with tempfile.TemporaryDirectory() as home:
        config = load_config({"TWOKEYS_HOME": home}, model=str(model))
        services = build_services(config)
        try:
            if cache_mib is not None:
                services.decide_memory(Overrides(prompt_cache_mib=cache_mib))
            first, second = first_tokens(services, names, tokens)
        finally:
            services.close()
    return {
        "first_s": [round(value, 3) for value in first],
        "second_s": [round(value, 3) for value in second],
        "ratio": round(max(b / a for a, b in zip(first, second, strict=True)), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    measured = {
        "pages": measure_pages(),
        "second": measure_second(asked.model, ["a"], DOCUMENT_TOKENS),
        "two": measure_second(asked.model, ["a", "b"], TWO_TOKENS, cache_mib=PROMPT_CACHE_MIB),
        "two_without_memory": measure_second(asked.model, ["a", "b"], TWO_TOKENS),
    }
    if asked.json:
        print(json.dumps(measured))
    else:
        for name, values in measured.items():
            print(f"{name:20}", values)
    return 0 if measured["second"]["ratio"] <= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
