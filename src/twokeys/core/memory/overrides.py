"""What a person has decided about how a model is started, beside what TwoKeys would choose.

Only values; whether they fit is the planner's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from twokeys.errors import BadParameter
from twokeys.types import KvType, LoadMode

KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0", "q4_0")
LOAD_MODES: tuple[LoadMode, ...] = ("copy", "mmap")
_RANGES = {
    "context": (512, 1 << 20),
    "gpu_layers": (-1, 1024),
    "prompt_cache_mib": (0, 1 << 20),
    "threads": (1, 1024),
    "parallel": (1, 32),
    "limit_mib": (64, 1 << 24),
}
LONGEST_NAME = 4096


@dataclass(frozen=True, slots=True)
class Overrides:
    """A person's choices; None leaves each to TwoKeys.

    context: tokens per answer slot, 512 … 2²⁰. gpu_layers: -1 all. prompt_cache_mib: host memory for
    parked prompts. limit_mib: the most host memory a worker may plan with; it is also enforced. draft:
    "simple", "mod" or a draft model's name; None drafts only where what is done asks for it.
    Raises BadParameter for a value out of its range.
    """

    context: int | None = None
    kv_type: KvType | None = None
    gpu_layers: int | None = None
    prompt_cache_mib: int | None = None
    threads: int | None = None
    parallel: int | None = None
    limit_mib: int | None = None
    load_mode: LoadMode | None = None
    draft: str | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise BadParameter(field=name, value=value, allowed=f"{low} … {high}")
        named = isinstance(self.draft, str) and 0 < len(self.draft) <= LONGEST_NAME
        if self.draft is not None and not named:
            raise BadParameter(field="draft", value=self.draft, allowed="simple | mod | MODEL")
        for name, known in (("kv_type", KV_TYPES), ("load_mode", LOAD_MODES)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise BadParameter(field=name, value=value, allowed=" | ".join(known))

    @property
    def limit_bytes(self) -> int | None:
        return None if self.limit_mib is None else self.limit_mib << 20

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self))

    def to_dict(self) -> dict[str, Any]:
        """Return what was decided as JSON-ready values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from stored values; unknown names are left out. Raises BadParameter."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


NO_OVERRIDES = Overrides()
