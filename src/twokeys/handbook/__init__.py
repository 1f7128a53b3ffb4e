"""The handbook: chapters in Chinese and English, and how they are read.

`zh/*.md` and `en/*.md` hold the same chapters. These lines in them are not text:

    {thermometer}                     the thermometer over one token's candidates
    {claim C4}                        a claim of the article, with its status
    {forms}                           what a grammar changes, as the study of it found
    {paper loops}                     what a paper found, and what runs on models say of it
    {try chat 0.7 1024} PROMPT        set up the example in a chat: temperature, length
    {try compare 0.3,0.7,1.0} PROMPT  set it up in a comparison

The page draws the blocks; `to_markdown` writes them out, as docs/handbook.zh.md and docs/handbook.en.md.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from twokeys.core.study.claims import CLAIMS, ClaimResult, claim_text, load_claims
from twokeys.core.study.forms import STUDY, FormFinding, load_forms
from twokeys.core.study.papers import BY_NAME as PAPERS_BY_NAME
from twokeys.core.study.papers import PaperResult, load_papers
from twokeys.i18n import translate

_LINE = re.compile(
    r"^\{(?:(thermometer|forms)|claim (C\d+)|paper (\w+)"
    r"|try (chat) ([\d.]+) (\d+)|try (compare) ([\d.,]+))\}[ ]?(.*)$",
    re.MULTILINE,
)
_CHINESE_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])")
"""A line's end between Chinese characters: Markdown would make a blank of it."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Markdown."""

    text: str


@dataclass(frozen=True, slots=True)
class Thermometer:
    """The place of the live thermometer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The place of a claim's status, by its number ("C4")."""

    name: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The place of what a paper found, by the name of its study here ("loops")."""

    paper: str


@dataclass(frozen=True, slots=True)
class Forms:
    """The place of what a grammar changes."""


@dataclass(frozen=True, slots=True)
class Example:
    """Something to try. temperatures: one for a chat, several for a comparison. tokens 0: as it is."""

    place: Literal["chat", "compare"]
    temperatures: tuple[float, ...]
    tokens: int
    prompt: str


Block = Prose | Thermometer | Claim | Finding | Forms | Example


@dataclass(frozen=True, slots=True)
class Chapter:
    """name: of its file, the same in both languages ("1-temperature")."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A question, the beginning of an answer, and the candidates for its next token.

    candidates: (text, natural-log probability), likeliest first; from a real model (see sample.toml).
    """

    model: str
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class OutsideEvidence:
    """What a paper reports, a benchmark measured, or a definition settles. source: "" for the last."""

    kind: Literal["reported", "benchmark", "settled"]
    sentence: str
    source: str


@cache
def load(language: str) -> tuple[Chapter, ...]:
    """Return the chapters in "zh" or "en", in their order."""
    folder = files(__package__).joinpath(language)
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".md")), key=lambda e: e.name
    )
    return tuple(_chapter(entry.name.removesuffix(".md"), entry.read_text("utf-8")) for entry in entries)


@cache
def load_sample(language: str) -> Sample:
    """Return the candidates that the handbook's thermometer shows."""
    data = tomllib.loads(files(__package__).joinpath("sample.toml").read_text(encoding="utf-8"))
    row = data[language]
    return Sample(data["model"], tuple((str(text), float(logprob)) for text, logprob in row["candidates"]))


@cache
def load_evidence(language: str) -> Mapping[str, tuple[OutsideEvidence, ...]]:
    """Return what is known of claims besides the lab's studies, by their numbers (evidence.toml)."""
    data = tomllib.loads(files(__package__).joinpath("evidence.toml").read_text(encoding="utf-8"))
    return {
        claim: tuple(OutsideEvidence(row["kind"], row[language], row["source"]) for row in rows)
        for claim, rows in data.items()
    }


def to_markdown(language: str) -> str:
    """Return the whole handbook as one Markdown text, claims with what the shipped study found."""
    parts = [f"# {translate('handbook.title', language)}", translate("handbook.generated", language)]
    for chapter in load(language):
        parts.append(f"## {chapter.title}")
        parts += [_written(block, language) for block in chapter.blocks]
    return "\n\n".join(parts) + "\n"


def status_lines(claim: str, language: str, rows: Sequence[ClaimResult]) -> list[tuple[str, str, str]]:
    """Return (status, sentence, where from) for each thing that is known of a claim.

    rows: results of studies; what evidence.toml says comes after them. Without either the claim is
    undecided: "claimed, not confirmed".
    """
    measured = [row for row in rows if row.claim == claim and row.answers]
    besides = load_evidence(language).get(claim, ())
    if not measured and not besides:
        untested = translate(f"lab.claim.{claim}.untested", language)
        return [(translate("handbook.status.claimed", language), untested, "")]
    return [
        (
            translate("handbook.status.measured", language, verdict=row.verdict_text(language)),
            row.sentence(language),
            _source(row, language),
        )
        for row in measured
    ] + [
        (translate(f"handbook.status.{result.kind}", language), result.sentence, result.source)
        for result in besides
    ]


def paper_lines(name: str, language: str, rows: Sequence[PaperResult]) -> list[tuple[str, str, str]]:
    """Return (status, sentence, where from): the paper first, then what each model's run says of it."""
    paper = PAPERS_BY_NAME[name]
    reported = translate("handbook.status.reported", language)
    lines = [(reported, paper.hypothesis(language), f"arXiv {paper.arxiv}")]
    for row in (row for row in rows if row.paper == name):
        status = translate("handbook.status.measured", language, verdict=row.verdict_text(language))
        run = {"study": paper.study, "model": row.model, "units": row.units}
        lines.append((status, row.sentence(language), translate("handbook.status.units", language, **run)))
    return lines


def form_lines(language: str, rows: Sequence[FormFinding]) -> list[tuple[str, list[str], str]]:
    """Return (status, sentences, where from) of each model whose run says what a grammar changes.

    Without a run the one line says that nothing has been measured.
    """
    models = dict.fromkeys(row.model for row in rows)
    if not models:
        status = translate("handbook.status.unmeasured", language)
        return [(status, [translate("lab.forms.none", language)], translate("lab.forms.study", language))]
    return [
        (
            translate("handbook.status.benchmark", language),
            [row.sentence(language) for row in rows if row.model == model],
            translate(
                "handbook.status.study",
                language,
                study=STUDY,
                model=model,
                answers=sum(row.answers for row in rows if row.model == model),
            ),
        )
        for model in models
    ]


def _source(row: ClaimResult, language: str) -> str:
    figure = row.figure_text(language)
    return (f"{figure} · " if figure else "") + translate(
        "handbook.status.study", language, study=row.study, model=row.model, answers=row.answers
    )


def _joined(sentences: Sequence[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(sentences)


def _chapter(name: str, text: str) -> Chapter:
    heading, _, body = text.partition("\n")
    blocks: list[Block] = []
    at = 0
    for match in _LINE.finditer(body):
        _add_prose(blocks, body[at : match.start()])
        blocks.append(_block(match))
        at = match.end()
    _add_prose(blocks, body[at:])
    return Chapter(name, heading.removeprefix("# ").strip(), tuple(blocks))


def _add_prose(blocks: list[Block], text: str) -> None:
    if text.strip():
        blocks.append(Prose(_CHINESE_BREAK.sub("", text.strip())))


def _block(match: re.Match[str]) -> Block:
    alone, claim, paper, chat, temperature, tokens, _compare, temperatures, prompt = match.groups()
    if alone:
        return Forms() if alone == "forms" else Thermometer()
    if claim:
        if claim not in CLAIMS:
            raise ValueError(f"the handbook names {claim}, which is no claim")
        return Claim(claim)
    if paper:
        if paper not in PAPERS_BY_NAME:
            raise ValueError(f"the handbook names {paper}, which is no paper")
        return Finding(paper)
    if chat:
        return Example("chat", (float(temperature),), int(tokens), prompt.strip())
    several = tuple(float(part) for part in temperatures.split(","))
    return Example("compare", several, 0, prompt.strip())


def _written(block: Block, language: str) -> str:
    match block:
        case Prose(text):
            return text
        case Thermometer():
            return f"*{translate('handbook.thermometer.in_app', language)}*"
        case Claim(name):
            heading = f"**{name}** {claim_text(name, language)}"
            lines = status_lines(name, language, load_claims())
            return _quoted(heading, lines, translate(f"lab.claim.{name}.scope", language))
        case Finding(name):
            heading = f"**{PAPERS_BY_NAME[name].title(language)}**"
            return _quoted(heading, paper_lines(name, language, load_papers()))
        case Forms():
            lines = [
                (status, _joined(sentences, language), source)
                for status, sentences, source in form_lines(language, load_forms())
            ]
            heading = f"**{translate('lab.forms.title', language)}**"
            return _quoted(heading, lines, translate("lab.forms.scope", language))
        case Example("chat", (temperature,), tokens, prompt):
            command = f'twokeys chat "{prompt}" --temperature {temperature:g} --max-new-tokens {tokens}'
        case Example(_, several, _, prompt):
            listed = ",".join(f"{temperature:g}" for temperature in several)
            command = f'twokeys compare "{prompt}" --temperatures {listed}'
    return f"{translate('handbook.try.heading', language)}\n\n```\n{command}\n```"


def _quoted(heading: str, lines: Sequence[tuple[str, str, str]], end: str = "") -> str:
    """Write a heading, what is known (status, sentence, where from) and a last sentence as one quotation."""
    known = [
        f"**{status}** {sentence}" + (f" ({source})" if source else "") for status, sentence, source in lines
    ]
    return "\n>\n".join(f"> {part}" for part in (heading, *known, end) if part)
