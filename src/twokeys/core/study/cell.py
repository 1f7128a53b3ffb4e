"""A cell of a study: everything that is held the same for a column of answers.

A cell sets parameters of Sampling, and may change how the engine is started and how the question
is put. Cells are compared with each other on the same prompts and seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from twokeys.core.memory.drafts import OFF
from twokeys.errors import BadParameter
from twokeys.types import KvType, Sampling

Before = Literal["nothing", "hot", "fresh"]
SAMPLING_NAMES = frozenset(f.name for f in fields(Sampling)) - {"seed"}
CELL_NAMES = ("form", "system_prompt", "before", "segments", "ignore_eos", "grammar")
FORMER_NAMES = {"forced": "ignore_eos"}
"""Names that stored studies and study files of earlier versions use."""

SETUP_NAMES = ("model", "context", "kv_type", "draft")


@dataclass(frozen=True, slots=True)
class Setup:
    """How the engine runs for a cell. None keeps what the chat uses.

    model: a name, path or URL. context: tokens of prompt + answer. kv_type: of the KV cache. draft: what
    drafts tokens ("simple", "mod", a model's name); a study that names nothing has none, and the answers
    of a cell that drafts have no token probabilities.
    """

    model: str | None = None
    context: int | None = None
    kv_type: KvType | None = None
    draft: str | None = None

    def __post_init__(self) -> None:
        if self.context is not None and (
            isinstance(self.context, bool)
            or not isinstance(self.context, int)
            or not 256 <= self.context <= 131072
        ):
            raise BadParameter(field="context", value=self.context, allowed="256 … 131072")
        if self.kv_type is not None and self.kv_type not in get_args(KvType):
            raise BadParameter(field="kv_type", value=self.kv_type, allowed=" | ".join(get_args(KvType)))
        if self.model is not None and (not isinstance(self.model, str) or not self.model.strip()):
            raise BadParameter(field="model", value=self.model, allowed="a model's name, path or URL")

        if self.draft is not None and (not isinstance(self.draft, str) or not self.draft.strip()):
            raise BadParameter(field="draft", value=self.draft, allowed="off | simple | mod | a model's name")

    @property
    def drafts(self) -> bool:
        """Whether tokens are drafted."""
        return self.draft not in (None, OFF)

    @property
    def usual(self) -> bool:
        """Whether the engine stays as the chat uses it."""
        return self == Setup()

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name in SETUP_NAMES if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of settings.

    name: shown and stored; unique in a study. sampling: parameters that differ from the study's
    base. form: which wording of the prompts. before: what the engine did just before each answer:
    "nothing" in particular, three "hot" answers at temperature 1, or a "fresh" start of its process.
    segments: the answer is written in so many parts, each asked for on its own. ignore_eos: the model
    may not end its answer before max_new_tokens (its end token is forbidden): for measuring time
    and memory at a known length. grammar: the engine is held to the form of prompts that have one.
    """

    name: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    setup: Setup = Setup()
    form: str | None = None
    system_prompt: str = ""
    before: Before = "nothing"
    segments: int = 1
    ignore_eos: bool = False
    grammar: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 1 <= len(self.name) <= 120:
            raise BadParameter(field="cell.name", value=self.name, allowed="1 … 120 characters")
        if self.before not in get_args(Before):
            raise BadParameter(field="before", value=self.before, allowed=" | ".join(get_args(Before)))
        if isinstance(self.segments, bool) or self.segments not in range(1, 17):
            raise BadParameter(field="segments", value=self.segments, allowed="1 … 16")
        if not isinstance(self.ignore_eos, bool):
            raise BadParameter(field="ignore_eos", value=self.ignore_eos, allowed="true | false")
        if not isinstance(self.grammar, bool):
            raise BadParameter(field="grammar", value=self.grammar, allowed="true | false")
        for name, text in (("form", self.form or ""), ("system_prompt", self.system_prompt)):
            if not isinstance(text, str):
                raise BadParameter(field=name, value=text, allowed="a text")
        for name in self.sampling:
            if name not in SAMPLING_NAMES:
                raise BadParameter(
                    field=name, value=self.sampling[name], allowed=", ".join(sorted(SAMPLING_NAMES))
                )
        Sampling().with_(**self.sampling)

    def sampling_on(self, base: Sampling) -> Sampling:
        """Return the cell's full sampling on top of the study's base."""
        return base.with_(**self.sampling)

    def get(self, axis: str) -> Any:
        """Return the value of an axis: a parameter, a part of the setup or of the question."""
        if axis in SETUP_NAMES:
            return getattr(self.setup, axis)
        return getattr(self, axis) if axis in CELL_NAMES else self.sampling.get(axis)

    def values(self) -> dict[str, Any]:
        """Return all that the cell sets, flat, by the names a study file uses."""
        flat: dict[str, Any] = dict(self.sampling) | self.setup.to_dict()
        usual = Cell(self.name)
        flat |= {
            name: getattr(self, name) for name in CELL_NAMES if getattr(self, name) != getattr(usual, name)
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **self.values()}

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str | None = None) -> Self:
        """Build from flat values, as in a study file. Raises BadParameter."""
        rest = {FORMER_NAMES.get(key, key): value for key, value in values.items()}
        given = rest.pop("name", None)
        label = name or given or label_of(rest)
        setup = Setup(**{key: rest.pop(key) for key in SETUP_NAMES if key in rest})
        own = {key: rest.pop(key) for key in CELL_NAMES if key in rest}
        return cls(label, rest, setup, **own)


def label_of(values: Mapping[str, object]) -> str:
    """Return a name made of the values: "temperature=0.3, top_k=20"; "default" when there are none."""
    return ", ".join(f"{name}={value}" for name, value in values.items())[:120] or "default"
