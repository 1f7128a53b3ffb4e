"""A study: prompts × cells × seeds, from a TOML file or a page.

    name = "temperature"            # required
    kind = "exact"                  # count chances instead of writing answers; default: "sampled"
    title = "Diversity and heat"
    prompts = ["explain-en", "fact-zh:6", "math-en-03", "made/logic-en:50"]   # sets, parts, ids, made by rule
    seeds = 3                       # answers per prompt and cell
    baseline = "temperature=0.7"    # the cell the others are compared with; default: the first
    outcomes = ["distinct_2", "correct"]
    [margins]                       # the smallest difference that matters, by measure
    correct = 0.1
    [base]                          # what all cells share: any parameter of Sampling
    max_new_tokens = 128
    [grid]                          # every combination becomes a cell
    temperature = [0.3, 0.7, 1.0]
    [engine]                        # what every engine must be: model, sha256, template, build
    model = "qwen2.5-7b-instruct"
    [[cell]]                        # and cells of one's own
    temperature = 1.0
    top_k = 0
    [[prompt]]                      # and prompts of one's own
    id = "mine"
    text = "…"

Knows nothing of engines or of the store.
"""

import hashlib
import itertools
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self, get_args

import tomli_w

from twokeys.core.study.cell import CELL_NAMES, SAMPLING_NAMES, SETUP_NAMES, Cell, label_of
from twokeys.core.study.exact_answer import COUNTED
from twokeys.core.study.measure import FORMER_NAMES, MEASURES
from twokeys.core.study.prompt import StudyPrompt, choose_prompts
from twokeys.core.study.questions import PREFIX, named_prompts
from twokeys.errors import BadFile, BadInput, BadParameter, NotFound, Reason, TwoKeysError
from twokeys.i18n import catalogue, translate
from twokeys.types import PARAMETERS, Sampling

GuardUse = Literal["watch", "stop", "off"]
ENGINE_NAMES = ("model", "sha256", "template", "build")
"""What a study's file may ask of its engines under [engine]: names, or SHA-256 in hexadecimal."""

StudyKind = Literal["sampled", "exact"]
MAX_CELLS = 200
MAX_GENERATIONS = 200_000
EXACT_OUTCOMES = ("chance",)
EXACT_CHECKERS = ("number", "choice")
DEFAULT_OUTCOMES = ("correct", "distinct_2", "similarity", "rep_4", "truncated", "tokens", "mean_nll")
_SEED_SPAN = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Study:
    """What is to be run. All values are checked; raises BadParameter or BadInput.

    base: parameters all cells share. seeds: answers per prompt and cell; the n-th seed of a prompt
    is the same in every cell. outcomes: measures that get verdicts; margins: per measure, what
    difference matters, else the measure's own. guard: "watch" lets it speak but not stop, "stop"
    lets it end loops as in a chat. engine: what every engine must be: model,
    sha256, template, build. n_probs: candidates asked for per token, 0 for none. share: an
    answer that is the beginning of another (same seed, shorter length), or the same again
    (temperature 0), is taken from it and not generated twice. slots: parallel answers when the
    study starts an engine of its own, None for as many as the chat has. limit_s: an answer is "complete"
    when it ended by itself within so many seconds (None: however long it took).
    kind: "exact" counts the chance of the right answer from the model's probabilities, without drawing:
    for questions whose answer is a number or a choice, one answer each (exact_score.py).
    """

    name: str
    prompts: tuple[StudyPrompt, ...]
    cells: tuple[Cell, ...]
    title: str = ""
    seeds: int = 3
    base: Sampling = field(default_factory=Sampling)
    base_seed: int = 1
    baseline: str = ""
    outcomes: tuple[str, ...] = DEFAULT_OUTCOMES
    margins: Mapping[str, float] = field(default_factory=dict)
    guard: GuardUse = "watch"
    n_probs: int = 5
    share: bool = True
    slots: int | None = None
    limit_s: float | None = None
    engine: Mapping[str, str] = field(default_factory=dict)
    kind: StudyKind = "sampled"

    def __post_init__(self) -> None:
        _check_range("seeds", self.seeds, 1, 1000)
        _check_range("base_seed", self.base_seed, 0, _SEED_SPAN)
        _check_range("n_probs", self.n_probs, 0, 20)
        if self.slots is not None:
            _check_range("slots", self.slots, 1, 32)
        if not isinstance(self.name, str) or not 1 <= len(self.name) <= 80 or not self.name.isprintable():
            raise BadParameter(field="name", value=self.name, allowed="1 … 80 characters on one line")
        if not isinstance(self.title, str):
            raise BadParameter(field="title", value=self.title, allowed="a text")
        if not isinstance(self.share, bool):
            raise BadParameter(field="share", value=self.share, allowed="true | false")
        if self.limit_s is not None and not (_is_number(self.limit_s) and 0 < self.limit_s < 1e6):
            raise BadParameter(field="limit_s", value=self.limit_s, allowed="> 0 seconds")
        if self.kind not in get_args(StudyKind):
            raise BadParameter(field="kind", value=self.kind, allowed=" | ".join(get_args(StudyKind)))
        if self.kind == "exact":
            self._check_exact()
        if self.guard not in get_args(GuardUse):
            raise BadParameter(field="guard", value=self.guard, allowed=" | ".join(get_args(GuardUse)))
        _check_unique("prompt", [prompt.id for prompt in self.prompts])
        _check_unique("cell", [cell.name for cell in self.cells])
        if len(self.cells) > MAX_CELLS or self.generations > MAX_GENERATIONS:
            raise BadParameter(
                field="grid",
                value=self.generations,
                allowed=f"≤ {MAX_CELLS} cells, {MAX_GENERATIONS} answers",
            )
        for cell in self.cells:
            cell.sampling_on(self.base)
        if self.baseline and self.baseline not in {cell.name for cell in self.cells}:
            raise BadParameter(
                field="baseline", value=self.baseline, allowed=" | ".join(cell.name for cell in self.cells)
            )
        if not isinstance(self.margins, Mapping) or not all(
            _is_number(margin) and margin > 0 for margin in self.margins.values()
        ):
            raise BadParameter(field="margins", value=self.margins, allowed="> 0")
        if not isinstance(self.engine, Mapping) or not all(
            name in ENGINE_NAMES and isinstance(value, str) for name, value in self.engine.items()
        ):
            raise BadParameter(field="engine", value=self.engine, allowed=", ".join(ENGINE_NAMES))
        for name in (*self.outcomes, *self.margins):
            if name not in MEASURES:
                raise BadParameter(field="outcomes", value=name, allowed=", ".join(MEASURES))

    def _check_exact(self) -> None:
        """Raises BadParameter for what cannot be counted without drawing."""
        for prompt in self.prompts:
            if prompt.checker is None or prompt.checker.kind not in EXACT_CHECKERS:
                allowed = " | ".join(EXACT_CHECKERS)
                raise BadParameter(field=f"prompt.{prompt.id}.checker", value="", allowed=allowed)
        if self.seeds != 1:
            raise BadParameter(field="seeds", value=self.seeds, allowed="1")
        for cell in self.cells:
            if cell.before != "nothing" or cell.segments > 1 or cell.ignore_eos:
                raise BadParameter(field="cell", value=cell.name, allowed=Reason("lab.exact.cell"))
            for name, value in cell.sampling_on(self.base).to_dict().items():
                off = None if name not in PARAMETERS or name in COUNTED else PARAMETERS[name].off
                if isinstance(off, float | int) and value != off:
                    raise BadParameter(field=name, value=value, allowed=f"{off:g}")

    @property
    def generations(self) -> int:
        """How many answers the study has."""
        return len(self.prompts) * len(self.cells) * self.seeds

    def title_in(self, language: str) -> str:
        """Return the title; shipped studies have one in each language."""
        key = f"lab.study.{self.name}"
        return translate(key, language) if key in catalogue() else self.title or self.name

    @property
    def baseline_cell(self) -> Cell:
        named = [cell for cell in self.cells if cell.name == self.baseline]
        return named[0] if named else self.cells[0]

    @property
    def axes(self) -> tuple[str, ...]:
        """The names in which cells differ, in the order they first appear."""
        names = dict.fromkeys(name for cell in self.cells for name in cell.values())
        return tuple(name for name in names if len({json.dumps(cell.get(name)) for cell in self.cells}) > 1)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides the answers: the same study goes on instead of anew."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def margin(self, measure: str) -> float | None:
        """Return the smallest difference of a measure that matters; None: none is known."""
        return self.margins.get(measure, MEASURES[measure].margin)

    def seed(self, prompt: StudyPrompt, number: int) -> int:
        """Return the engine's seed of a prompt's answer `number`: the same in every cell."""
        text = f"{self.base_seed}/{prompt.id}/{number}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % _SEED_SPAN

    def to_dict(self) -> dict[str, Any]:
        """Return JSON- and TOML-ready values that `from_dict` reads back."""
        usual = Sampling().to_dict()
        base = {k: v for k, v in self.base.to_dict().items() if v != usual[k] and k != "seed"}
        values: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "seeds": self.seeds,
            "base_seed": self.base_seed,
            "baseline": self.baseline,
            "outcomes": list(self.outcomes),
            "margins": dict(self.margins),
            "guard": self.guard,
            "n_probs": self.n_probs,
            "share": self.share,
            "base": base,
            "cell": [cell.to_dict() for cell in self.cells],
            "prompt": [prompt.to_dict() for prompt in self.prompts],
        }
        if self.slots is not None:
            values["slots"] = self.slots
        if self.limit_s is not None:
            values["limit_s"] = self.limit_s
        if self.engine:
            values["engine"] = dict(self.engine)
        if self.kind != "sampled":
            values["kind"] = self.kind
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from the values of a study file. Raises BadParameter, BadInput or NotFound."""
        known = {f for f in cls.__slots__ if f not in ("cells",)} | {"grid", "cell", "prompt"}
        for name in values:
            if name not in known:
                raise BadParameter(field=name, value=values[name], allowed=", ".join(sorted(known)))
        rest = {k: v for k, v in values.items() if k not in ("grid", "cell", "prompt", "prompts", "base")}
        own = tuple(StudyPrompt.from_dict(row) for row in values.get("prompt", ()))
        prompts = (*_chosen(_names("prompts", values.get("prompts", ()))), *own)
        cells = (*grid_cells(values.get("grid", {})), *(Cell.of(row) for row in values.get("cell", ())))
        if not prompts:
            raise BadParameter(field="prompts", value="", allowed="at least one prompt")
        exact = values.get("kind") == "exact"
        if exact:
            rest.setdefault("seeds", 1)
        usual = EXACT_OUTCOMES if exact else DEFAULT_OUTCOMES
        outcomes = _names("outcomes", values.get("outcomes", usual))
        rest["outcomes"] = tuple(FORMER_NAMES.get(name, name) for name in outcomes)
        if isinstance(values.get("margins"), Mapping):
            rest["margins"] = {FORMER_NAMES.get(name, name): of for name, of in values["margins"].items()}
        return cls(
            **{"name": "", **rest},
            prompts=prompts,
            cells=cells or (Cell("default"),),
            base=Sampling.from_dict(values.get("base", {})),
        )

    @classmethod
    def from_toml(cls, text: str, name: str = "study") -> Self:
        """Read a study file. Raises BadFile when it is no TOML or a value cannot be used."""
        try:
            return cls.from_dict({"name": name, **tomllib.loads(text)})
        except tomllib.TOMLDecodeError as exc:
            raise BadFile(name=name, reason=str(exc)) from exc
        except TwoKeysError:
            raise
        except (TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise BadFile(name=name, reason=str(exc)) from exc

    def to_toml(self) -> str:
        """Return a study file that `from_toml` reads back."""
        return tomli_w.dumps(self.to_dict(), multiline_strings=True)


def grid_cells(grid: Mapping[str, Sequence[object]]) -> tuple[Cell, ...]:
    """Return a cell for every combination of the axes' values. Raises BadParameter."""
    if not grid:
        return ()
    for axis, values in grid.items():
        if axis not in SAMPLING_NAMES | set(CELL_NAMES) | set(SETUP_NAMES):
            raise BadParameter(field=axis, value=values, allowed=", ".join(sorted(SAMPLING_NAMES)))
        if not isinstance(values, list | tuple) or not values:
            raise BadParameter(field=axis, value=values, allowed="a list of values")
    count = math.prod(len(values) for values in grid.values())
    if count > MAX_CELLS:
        raise BadParameter(field="grid", value=count, allowed=f"≤ {MAX_CELLS} cells")
    combinations = itertools.product(*grid.values())
    named = [dict(zip(grid, values, strict=True)) for values in combinations]
    return tuple(Cell.of(values, label_of(values)) for values in named)


IN_BOTH_LANGUAGES = ("claims-", "drafts", "paper-", "structured")
"""How the names of shipped studies begin that ask in Chinese and in English."""
TO_BE_READ = "reading-"
"""How the names of shipped studies begin that people read: they ask in one language, the reader's."""


@cache
def shipped_studies() -> Mapping[str, Study]:
    """Return the studies that come with the product, by name. Those of "claims-…" examine C1–C15."""
    studies: dict[str, Study] = {}
    for entry in sorted(files(__package__).joinpath("shipped").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            name = entry.name.removesuffix(".toml")
            studies[name] = Study.from_toml(entry.read_text(encoding="utf-8"), name)
    return studies


def first_look(study: Study, language: str) -> Study:
    """Return a shipped study with its prompts in "zh" or "en"; those of IN_BOTH_LANGUAGES stay.

    The sets of both languages have the same prompts, by number.
    """
    if study.name.startswith(IN_BOTH_LANGUAGES):
        return study
    if study.name.startswith(TO_BE_READ):
        return replace(study, prompts=tuple(p for p in study.prompts if p.language == language))
    ids = [re.sub(r"-(zh|en)(?=-|$)", f"-{language}", prompt.id) for prompt in study.prompts]
    return replace(study, prompts=choose_prompts(ids))


def shipped_group(name: str, language: str = "zh") -> tuple[Study, ...]:
    """Return a shipped study, or all whose names begin with "NAME-", see `first_look`. Raises NotFound."""
    studies = {key: first_look(study, language) for key, study in shipped_studies().items()}
    matches = [study for key, study in studies.items() if key == name or key.startswith(f"{name}-")]
    if not matches:
        raise NotFound(kind="study", name=name)
    return tuple(matches)


def _chosen(names: Sequence[str]) -> tuple[StudyPrompt, ...]:
    """Return shipped prompts and questions made by rule, in the order of their names."""
    chosen: dict[str, StudyPrompt] = {}
    for name in names:
        prompts = named_prompts(name) if name.startswith(PREFIX) else choose_prompts([name])
        chosen |= {prompt.id: prompt for prompt in prompts}
    return tuple(chosen.values())


def _names(field_name: str, value: object) -> Sequence[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise BadParameter(field=field_name, value=value, allowed="a list of names")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadParameter(field=name, value=value, allowed=f"{low} … {high}")


def _check_unique(kind: str, names: Sequence[str]) -> None:
    if not names:
        raise BadParameter(field=kind, value="", allowed="at least one")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(reason=Reason("errors.reason.twice", kind=kind, name=twice[0]))
