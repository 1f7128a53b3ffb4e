"""Put the raw data of a shipped study into this home as a run that is not finished, to write further seeds.

    python studies/go_on.py claims-segments qwen2.5-coder-0.5b
    twokeys study run --shipped claims-segments --model qwen2.5-coder-0.5b --results DIR

The study is the shipped one as it is now: raise its `seeds` first, and the second command writes only the
answers that are missing. A seed follows from the prompt and the number of the answer: those there stay right.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from twokeys.config import load_config
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.lab import KIND
from twokeys.core.study.study import Study, shipped_studies
from twokeys.core.study.trial import Trial
from twokeys.reports.archive import SUFFIX, read_archive
from twokeys.store.repository import Repository

RESULTS = Path(__file__).resolve().parent / "results"


def go_on(repository: Repository, study: Study, written: Evidence) -> str:
    """Store what was written as a paused run of `study`, the same with more seeds, and return its id.

    Measures of sets of answers are left out: they are made anew once a set is complete. Raises ValueError
    when the study differs in more than its seeds.
    """
    before = written.study
    if replace(study, seeds=before.seeds).fingerprint != before.fingerprint or study.seeds < before.seeds:
        raise ValueError(f"{study.name} is not what was run with more seeds")
    data = {
        "study": study.to_dict(),
        "state": "paused",
        "model": written.model,
        "engines": {"": dict(written.engine)},
    }
    document = repository.documents.create(KIND, study.title or study.name, data)
    rows = {}
    for kind, stored in (("a", written.answers), ("t", written.texts)):
        for row in stored:
            trial = Trial(row["c"], row["p"], row["s"])
            rows[trial.key if kind == "a" else trial.text_key] = {k: v for k, v in row.items() if k != "k"}
    repository.documents.put_rows(document.id, rows)
    return document.id


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    parser.add_argument("model")
    arguments = parser.parse_args()
    written = read_archive(RESULTS / arguments.model / f"{arguments.study}{SUFFIX}")
    repository = Repository.open(load_config())
    try:
        print(go_on(repository, shipped_studies()[arguments.study], written))
    finally:
        repository.close()


if __name__ == "__main__":
    main()
