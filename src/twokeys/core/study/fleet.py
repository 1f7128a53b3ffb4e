"""The engines of one study: which were asked for, what each is, and how each fares.

Whether an engine may write for a study is decided here: it must serve the model that the others serve, with
the same chat template, and whatever else the study's file asks of it. Asks no engine and stores nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

from twokeys.core.study.cell import Setup
from twokeys.core.study.study import ENGINE_NAMES, Study
from twokeys.engine import Engine
from twokeys.errors import BadInput, BadParameter, Reason
from twokeys.types import EngineInfo

MOST_ENGINES = 1000
MOST_CORES = 1024
MemberState = Literal["starting", "working", "lost", "refused"]


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """Where a study runs: on servers by URL, or on workers in a Ray cluster; empty: on the chat's engine.

    ray: "local" or the cluster's address. workers: how many, each with an engine of its own; cpus, gpus:
    cores and cards that each takes.
    """

    servers: tuple[str, ...] = ()
    ray: str | None = None
    workers: int = 0
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not 0 <= value <= MOST_CORES:
                raise BadParameter(field=name, value=value, allowed=f"0 … {MOST_CORES}")
        if self.ray is not None and (self.servers or not 1 <= self.workers <= MOST_ENGINES):
            raise BadParameter(field="workers", value=self.workers, allowed=f"1 … {MOST_ENGINES}")
        if self.ray is None and self.workers:
            raise BadInput(reason=Reason("lab.fleet.workers_need_ray"))
        twice = [url for url in self.servers if self.servers.count(url) > 1]
        if twice:
            raise BadInput(reason=Reason("errors.reason.twice", kind="engine", name=twice[0]))

    def __bool__(self) -> bool:
        return bool(self.servers or self.ray)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "servers": list(self.servers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        names = ("ray", "workers", "cpus", "gpus")
        known = {name: values[name] for name in names if values.get(name) is not None}
        return cls(servers=tuple(values.get("servers", ())), **known)


class EnginePool(Protocol):
    """Where engines come from; fulfilled by `lab_engines.LabEngines`."""

    async def engine(self, setup: Setup, slots: int | None) -> Engine: ...

    async def restart(self, setup: Setup, slots: int | None) -> Engine: ...

    async def release(self) -> None: ...

    def memory_bytes(self) -> int: ...

    def gpu_layers(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One engine of a study. name: shown, and stored with its answers; "" for the chat's own.

    queue: where its jobs stand. shared: it answers chats too, which come first. open_s: how long it may
    take to say what it is.
    """

    name: str
    pool: EnginePool
    queue: str
    shared: bool = False
    open_s: float = 20.0


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a start on a node of a cluster would mean. missing_bytes: of the model, still to be fetched there.
    needed_bytes, free_bytes: memory. error: why it cannot be, {"code", "params"}; None when it can."""

    node: str
    device: str
    missing_bytes: int = 0
    free_disk_bytes: int = 0
    needed_bytes: int = 0
    free_bytes: int = 0
    error: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Fleet(Protocol):
    """Engines that were opened for one run of a study."""

    @property
    def members(self) -> Sequence[Member]: ...

    async def plan(self) -> Sequence[NodePlan]: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class MemberProgress:
    """How one engine of a run fares. rows: answers written. seconds: of its writing. error: of a loss
    or refusal, {"code", "params"}. lost_s: since when on the monotonic clock; both until it writes again."""

    name: str
    state: MemberState = "starting"
    label: str = ""
    rows: int = 0
    seconds: float = 0.0
    slots: int = 1
    error: Mapping[str, Any] | None = None
    lost_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MemberView:
    """One engine of a run as it is now. rows_per_minute: None before its first answer."""

    name: str
    state: MemberState
    rows: int
    rows_per_minute: float | None = None
    error: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, progress: MemberProgress, facts: Mapping[str, object] | None) -> Self:
        rate = progress.rows / progress.seconds * 60 * progress.slots if progress.seconds else None
        return cls(progress.name, progress.state, progress.rows, rate, progress.error, facts)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def engine_facts(info: EngineInfo, gpu_layers: int = 0) -> dict[str, object]:
    """Return what a study stores of an engine."""
    return {
        "kind": info.kind,
        "model": info.model,
        "sha256": info.model_sha256,
        "context": info.context,
        "slots": info.slots,
        "build": info.build,
        "gpu_layers": gpu_layers,
        "template": info.template_sha256,
        "device": info.device,
    }


def same_engine(first: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether answers of two engines may stand under one name."""
    return all(first.get(name) == other.get(name) for name in ("kind", *ENGINE_NAMES, "device"))


def asked_of_engines(study: Study, known: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what an engine has to be. known: engines that write or wrote for the study, the first first.

    Model and template are those of the first, unless the study's file names them.
    """
    asked: dict[str, Any] = {}
    for facts in reversed(known):
        asked |= {name: facts[name] for name in ("model", "sha256", "template") if facts.get(name)}
    return asked | dict(study.engine)


def check_engine(name: str, facts: Mapping[str, object], asked: Mapping[str, object]) -> None:
    """Raise BadInput, with both values, when an engine is not what is asked. What it does not tell passes,
    but for a model whose name it must tell."""
    hashes = bool(facts.get("sha256") and asked.get("sha256"))
    for what in ENGINE_NAMES:
        wanted, there = asked.get(what), facts.get(what)
        if what == "model" and hashes:
            continue  # the file decides, whatever it is called
        if wanted and there and wanted != there:
            reason = Reason(f"lab.fleet.other_{what}", engine=name, wanted=wanted, there=there)
            raise BadInput(reason=reason)


def check_setups(study: Study) -> None:
    """Raise BadInput when cells want engines that differ: those of a fleet are started alike."""
    if any(not cell.setup.usual for cell in study.cells):
        raise BadInput(reason=Reason("lab.fleet.setup"))
