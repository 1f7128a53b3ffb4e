"""A study's raw data as one file, `NAME.jsonl.gz`: written from the lab, read back for the same analysis.

The first line holds the study, the model and the engine, every other line one stored row by its key's
first letter: "a" measures of an answer, "s" of a set of answers, "t" the text (core/study/rows.py).
And the readable report of a whole group of studies, with the table of claims.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from twokeys.core.study.axes import cell_title
from twokeys.core.study.claims import ClaimResult, claim_text
from twokeys.core.study.evidence import Evidence
from twokeys.core.study.measured import best, measured_in
from twokeys.core.study.paper_rules import examine_papers
from twokeys.core.study.papers import BY_NAME, PaperResult
from twokeys.core.study.result import StudyResult, shown
from twokeys.core.study.rows import SET_ORDER, named_rows, text_rows
from twokeys.core.study.study import Study
from twokeys.errors import BadFile
from twokeys.files import write_whole
from twokeys.i18n import translate
from twokeys.reports.charts import measure_title

SUFFIX = ".jsonl.gz"
UNPUBLISHED = ("turning",)
"""Papers whose verdict is not published: what was measured of them may be an artefact of the measurement."""


def write_archive(path: Path, evidence: Evidence) -> None:
    """Write a study's raw data. The same data always makes the same bytes."""
    head = {"study": evidence.study.to_dict(), "model": evidence.model, "engine": dict(evidence.engine)}
    lines = [head]
    for kind, rows in (("a", evidence.answers), ("s", evidence.sets), ("t", evidence.texts)):
        lines += [{"k": kind, **row} for row in rows]
    text = "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines) + "\n"
    write_whole(path, gzip.compress(text.encode("utf-8"), 9, mtime=0))


def read_archive(path: Path) -> Evidence:
    """Read what `write_archive` wrote. Raises BadFile."""
    try:
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()]
        head, rows = lines[0], lines[1:]
        return Evidence(
            study=Study.from_dict(head["study"]),
            model=head["model"],
            engine=head["engine"],
            answers=named_rows([row for row in rows if row["k"] == "a"]),
            sets=named_rows([row for row in rows if row["k"] == "s"], SET_ORDER),
            texts=text_rows([row for row in rows if row["k"] == "t"]),
        )
    except (OSError, EOFError, ValueError, KeyError, IndexError) as exc:
        raise BadFile(name=path.name, reason=str(exc)) from exc


def read_group(folder: Path) -> dict[str, Evidence]:
    """Return all archives of a folder by their studies' names."""
    archives = [read_archive(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    return {evidence.study.name: evidence for evidence in archives}


def published_papers(studies: Mapping[str, Evidence]) -> tuple[PaperResult, ...]:
    """Return what a model's runs say of the papers, without those that are not published yet."""
    return tuple(row for row in examine_papers(studies) if row.paper not in UNPUBLISHED)


def markdown_report(
    results: Sequence[StudyResult],
    claims: Sequence[ClaimResult],
    language: str,
    command: str,
    papers: Sequence[PaperResult] = (),
) -> str:
    """Return the report of a group of studies of one model as Markdown."""

    def t(key: str, **values: object) -> str:
        return translate(f"lab.group.{key}", language, **values)

    model = results[0].model if results else ""
    answers = sum(result.answers for result in results if result.study.kind == "sampled")
    lines = [
        f"# {t('title', model=model)}",
        "",
        t("lead", answers=answers, studies=len(results), command=command),
    ]
    lines += [
        "",
        f"## {t('claims')}",
        "",
        f"| | {t('claim')} | {t('verdict')} | {t('found')} | {t('scope')} |",
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    for claim in claims:
        scope = claim.decided_by(language) or claim.scope(language)
        said = (claim.verdict_text(language), claim.sentence(language), scope)
        cells = (claim.claim, claim_text(claim.claim, language), *said)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += _papers(papers, language)
    for result in results:
        lines += ["", f"## {result.study.title_in(language)} (`{result.study.name}`)", ""]
        if not result.complete:
            total = result.study.generations
            lines += [translate("lab.report.partial", language, answers=result.answers, total=total), ""]
        lines += [line for note in result.notes(language) for line in (note, "")]
        lines += [
            *(f"- {curve.sentence(language)}" for curve in result.exact),
            *([""] if result.exact else []),
        ]
        lines += _table(result, language)
        lines += _cut_offs(result, language)
        lines += ["", *(f"- {comparison.sentence(language)}" for comparison in result.comparisons)]
    return "\n".join(lines).rstrip() + "\n"


def _papers(papers: Sequence[PaperResult], language: str) -> list[str]:
    if not papers:
        return []
    lines = ["", f"## {translate('labpage.papers.title', language)}", ""]
    for row in papers:
        paper = BY_NAME[row.paper]
        margin = paper.margin_text(language)
        lines.append(
            f"- **{paper.title(language)}** (arXiv {paper.arxiv}): {paper.hypothesis(language)} "
            f"{row.sentence(language)}{f' ({margin})' if margin else ''}"
        )
    return lines


def _table(result: StudyResult, language: str) -> list[str]:
    names = [
        name
        for name in result.measures
        if name in {*result.study.outcomes, "tokens", "truncated", "tok_per_s"}
    ]
    head = [translate("lab.report.cell", language), translate("lab.report.answers", language)]
    lines = ["| " + " | ".join([*head, *(measure_title(name, language) for name in names)]) + " |"]
    lines.append("| " + " | ".join(["---"] * (len(names) + 2)) + " |")
    for cell in result.cells:
        fields = [cell_title(cell.name, language), str(cell.answers)]
        for name in names:
            estimate = cell.estimates.get(name)
            if estimate is None:
                fields.append("–")
            elif estimate.low is None or estimate.high is None:
                fields.append(shown(name, estimate.mean, language))
            else:
                mean, low, high = (
                    shown(name, value, language) for value in (estimate.mean, estimate.low, estimate.high)
                )
                fields.append(f"{mean} ({low} … {high})")
        lines.append("| " + " | ".join(fields) + " |")
    return lines


def _cut_offs(result: StudyResult, language: str) -> list[str]:
    """Return what each length cut off by task, as lines of a table."""
    if not result.cut_offs:
        return []
    lengths = sorted({cut_off.length for cut_off in result.cut_offs})
    cut_offs = {(cut_off.task, cut_off.length): cut_off for cut_off in result.cut_offs}
    first = translate("lab.report.cut_offs_axes", language)
    lines = ["", f"{translate('lab.report.cut_offs', language)}:", ""]
    lines += ["| " + " | ".join([first, *map(str, lengths)]) + " |", "| --- " * (len(lengths) + 1) + "|"]
    for task in dict.fromkeys(cut_off.task for cut_off in result.cut_offs):
        row = [translate(f"lab.task.{task}", language)]
        for length in lengths:
            cut_off = cut_offs.get((task, length))
            row.append("–" if cut_off is None else f"{cut_off.share:.0%} ({cut_off.cut} / {cut_off.answers})")
        lines.append("| " + " | ".join(row) + " |")
    return lines


def write_group(
    folder: Path, studies: Mapping[str, Evidence], claims: Sequence[ClaimResult], command: str
) -> list[Path]:
    """Write raw data, the claims and the reports in both languages; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, evidence in studies.items():
        path = folder / f"{name}{SUFFIX}"
        write_archive(path, evidence)
        written.append(path)
    return written + write_reports(folder, studies, claims, command)


def write_reports(
    folder: Path, studies: Mapping[str, Evidence], claims: Sequence[ClaimResult], command: str
) -> list[Path]:
    """Write the claims and the reports in both languages; return the files."""
    written = []
    path = folder / "claims.json"
    papers = published_papers(studies)
    rows = group_rows(studies, claims)
    write_whole(path, (json.dumps(rows, ensure_ascii=False, indent=1) + "\n").encode())
    written.append(path)
    results = [evidence.result() for evidence in studies.values()]
    for language in ("zh", "en"):
        path = folder / f"report.{language}.md"
        write_whole(path, markdown_report(results, claims, language, command, papers).encode())
        written.append(path)
    return written


def group_rows(
    studies: Mapping[str, Evidence], claims: Sequence[ClaimResult]
) -> dict[str, list[dict[str, object]]]:
    """Return what one model's studies say of claims, papers and temperatures, as claims.json has it."""
    measured = best(row for evidence in studies.values() for row in measured_in(evidence))
    return {
        "claims": [claim.to_dict() for claim in claims],
        "papers": [paper.to_dict() for paper in published_papers(studies)],
        "measured": [row.to_dict() for row in measured],
    }
