"""What is here, what works and what to do: one small check each, without side effects.

Each check takes what it looks at and returns a CheckResult; `describe` puts it into words. No check
raises for a broken surrounding (that is the finding), and none touches the network unless it is one
of the two that are asked to. Does not repair anything.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from twokeys.core.memory.available import read_available
from twokeys.core.memory.plan import MemoryPlan
from twokeys.errors import Reason, TwoKeysError
from twokeys.i18n import translate
from twokeys.units import memory_text

MINIMUM_PYTHON = (3, 11)
LOW_DISK_BYTES = 6 * 10**9
"""Room for the 7B at Q4_K_M (4.7 GB) with a margin."""
LOW_MEMORY_BYTES = 1 * 2**30
"""Below this not even the 0.5B with a small context fits."""
PROBE_TIMEOUT_S = 20.0

ENGINE_PROBE = (
    "import json, xllamacpp as x; "
    "print(json.dumps({'version': x.__version__, 'features': x.get_system_info(), "
    "'devices': [d['description'] for d in x.get_device_info()]}))"
)
FASTER_FEATURES: Mapping[str, str] = {
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx_vnni": "AVX_VNNI",
    "amx_int8": "AMX_INT8",
    "avx2": "AVX2",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
}
"""Flags of /proc/cpuinfo that llama.cpp makes use of, and llama.cpp's names for them."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. `state` picks the text: `cli.doctor.<name>.<state>`.

    hint: the state whose hint text is shown, None for none. values fill the texts' braces.
    """

    name: str
    ok: bool
    state: str
    hint: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worker:
    """A running engine process: its process id, model and memory in bytes."""

    pid: int
    model: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class IdleCard:
    """Why a card is not used; build: the name of the engine that would use it, "" when none can."""

    why: Reason
    build: str = ""


@dataclass(frozen=True, slots=True)
class MachineMemory:
    """Memory in bytes: the machine's, and the limit of the container or session, if there is one."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = None


def describe(finding: CheckResult, language: str) -> dict[str, object]:
    """Return {"name", "ok", "detail", "hint"} in the reader's language."""
    values = {
        name: value.message(language)
        if isinstance(value, TwoKeysError)
        else value.in_language(language)
        if isinstance(value, Reason)
        else value
        for name, value in finding.values.items()
    }
    hint = ""
    if finding.hint is not None:
        hint = translate(f"cli.doctor.{finding.name}.{finding.hint}", language, **values)
    detail = translate(f"cli.doctor.{finding.name}.{finding.state}", language, **values)
    return {"name": finding.name, "ok": finding.ok, "detail": detail, "hint": hint}


def check_python(version: tuple[int, int, int] | None = None) -> CheckResult:
    """Is this Python new enough?"""
    running = version or sys.version_info[:3]
    ok = running >= MINIMUM_PYTHON
    values = {
        "version": ".".join(map(str, running)),
        "minimum": ".".join(map(str, MINIMUM_PYTHON)),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return CheckResult("python", ok, "ok" if ok else "old", None if ok else "old_hint", values)


def check_packages(
    requirements: Iterable[str], installed: Callable[[str], str] = metadata.version
) -> CheckResult:
    """Is every required package there, in a version that was tried?

    requirements: lines as in a wheel's metadata ("rich>=13"); extras are skipped.
    """
    from packaging.requirements import Requirement

    missing, unsuitable, count = [], [], 0
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = installed(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            unsuitable.append(f"{requirement.name} {version} ({requirement.specifier})")
    names = ", ".join(missing + unsuitable)
    if names:
        return CheckResult("packages", False, "missing", "missing_hint", {"names": names})
    return CheckResult("packages", True, "ok", None, {"count": count})


def own_requirements() -> list[str]:
    """Return what this distribution requires; empty when it runs from a checkout uninstalled."""
    try:
        return metadata.requires("twokeys") or []
    except metadata.PackageNotFoundError:
        return []


def check_engine_library(cpu_flags: frozenset[str], command: Sequence[str] | None = None) -> CheckResult:
    """Does the bundled llama.cpp load, and does it use what this processor can do?

    It is loaded in a process of its own, so that a library which crashes cannot take us along.
    """
    try:
        done = subprocess.run(
            command or [sys.executable, "-P", "-c", ENGINE_PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return CheckResult("engine", False, "broken", "broken_hint", {"reason": reason[:300]})
        facts = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return CheckResult("engine", False, "broken", "broken_hint", {"reason": str(error)[:300]})
    features = enabled_features(facts["features"])
    unused = [name for flag, name in FASTER_FEATURES.items() if flag in cpu_flags and name not in features]
    values = {
        "version": facts["version"],
        "features": ", ".join(features) or "–",
        "devices": ", ".join(facts["devices"]),
        "unused": ", ".join(unused),
    }
    return CheckResult("engine", True, "ok", "native_hint" if unused else None, values)


def enabled_features(system_info: str) -> list[str]:
    """Return the names set to 1 in llama.cpp's "CPU : SSE3 = 1 | AVX = 1 | …"."""
    pairs = (part.rpartition(":")[2].partition("=") for part in system_info.split("|"))
    return [name.strip() for name, _, value in pairs if value.strip() == "1"]


def read_cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the processor's flags on Linux; empty elsewhere."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    features = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(features, "").split())


def check_server_binary(path: str | None, start: Callable[[str], bool] | None = None) -> CheckResult:
    """When a llama-server was named, does it start as the worker would start it?

    start: tries the found binary and raises TwoKeysError when it does not start; True when a model was
    loaded, False when there was none to load and only the arguments were tried.
    """
    if not path:
        return CheckResult("llama-server", True, "none", None)
    resolved = shutil.which(path)
    if resolved is None:
        return CheckResult("llama-server", False, "missing", "missing_hint", {"path": path})
    try:
        done = subprocess.run(
            [resolved, "--version"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return CheckResult("llama-server", False, "broken", "missing_hint", {"path": path, "reason": error})
    lines = (done.stdout + done.stderr).strip().splitlines()
    version = next((line for line in lines if line.startswith("version")), lines[0] if lines else "")
    if done.returncode != 0:
        return CheckResult("llama-server", False, "broken", "missing_hint", {"path": path, "reason": version})
    values = {"path": resolved, "version": version}
    try:
        loaded = start(resolved) if start is not None else False
    except TwoKeysError as error:
        return CheckResult("llama-server", False, "refuses", "refuses_hint", values | {"error": error})
    return CheckResult("llama-server", True, "started" if loaded else "ok", None, values)


def read_memory() -> MachineMemory:
    """Return the memory of this machine, and of the container when that is less."""
    import psutil

    available = read_available(with_devices=False)
    return MachineMemory(psutil.virtual_memory().total, available.free_bytes, available.limit_bytes)


def check_memory(memory: MachineMemory) -> CheckResult:
    """Is there memory for a model? A container's limit counts."""
    values = {
        "available": memory_text(memory.available_bytes),
        "total": memory_text(memory.total_bytes),
        "limit": memory_text(memory.limit_bytes),
    }
    ok = memory.available_bytes >= LOW_MEMORY_BYTES
    state = "ok" if memory.limit_bytes is None else "limited"
    return CheckResult("memory", ok, state, None if ok else "low_hint", values)


def check_memory_plan(plan: MemoryPlan | None) -> CheckResult:
    """Does the model that would answer fit into what is free now? None: a server answers."""
    if plan is None:
        return CheckResult("memory-plan", True, "server")
    state = "fits" if plan.fits else "tight" if plan.possible else "too_large"
    values = {
        "model": plan.shape.name,
        "context": plan.choice.context,
        "kv_type": plan.choice.kv_type,
        "length": plan.safe_max_new_tokens,
        "need": memory_text(plan.needs.total_bytes),
        "available": memory_text(plan.available_bytes),
    }
    hint = None if plan.fits else f"{state}_hint"
    return CheckResult("memory-plan", plan.possible, state, hint, values)


def check_disk(home: Path) -> CheckResult:
    """Is there room for models where the data lives?"""
    place = next((folder for folder in (home, *home.parents) if folder.exists()), Path.cwd())
    free = shutil.disk_usage(place).free
    ok = free >= LOW_DISK_BYTES
    values = {"free": f"{free / 10**9:.1f}", "path": home, "low": f"{LOW_DISK_BYTES / 10**9:.0f}"}
    return CheckResult("disk", ok, "ok", None if ok else "low_hint", values)


def check_home(home: Path) -> CheckResult:
    """Does the data folder belong to this person alone, and can it be written?"""
    if not home.exists():
        return CheckResult("home", True, "new", None, {"path": home})
    if not os.access(home, os.W_OK | os.X_OK):
        return CheckResult("home", False, "readonly", "readonly_hint", {"path": home})
    if os.name == "posix":
        open_to_others = [p.name or str(p) for p in (home, *home.glob("*.db")) if p.stat().st_mode & 0o077]
        if open_to_others:
            values = {"path": home, "names": ", ".join(open_to_others)}
            return CheckResult("home", False, "open", "open_hint", values)
    return CheckResult("home", True, "ok", None, {"path": home})


def check_database(path: Path, open_and_count: Callable[[], int]) -> CheckResult:
    """Does the database open? `open_and_count` opens it and returns the number of conversations."""
    if not path.exists():
        return CheckResult("database", True, "new", None, {"path": path})
    try:
        count = open_and_count()
    except TwoKeysError as error:
        return CheckResult("database", False, "broken", "broken_hint", {"error": error, "path": path})
    return CheckResult(
        "database", True, "ok", None, {"count": count, "size": f"{path.stat().st_size / 10**6:.1f}"}
    )


def check_models(
    names: Sequence[str], inspect: Callable[[str], None], *, deep: bool = False, needed: bool = True
) -> CheckResult:
    """Is a model there, and is each file whole?

    inspect: looks at one model and raises TwoKeysError when it is not whole. deep: whether that
    included the SHA-256. needed: no server answers.
    """
    if not names:
        return (
            CheckResult("models", False, "none", "none_hint")
            if needed
            else CheckResult("models", True, "not_needed")
        )
    damaged = [name for name in names if not _passes(inspect, name)]
    if damaged:
        values = {"names": ", ".join(damaged), "first": damaged[0]}
        return CheckResult("models", False, "damaged", "damaged_hint", values)
    shown = {"names": ", ".join(names), "count": len(names)}
    return CheckResult("models", True, "verified" if deep else "ok", None, shown)


def _passes(inspect: Callable[[str], None], name: str) -> bool:
    try:
        inspect(name)
    except TwoKeysError:
        return False
    return True


def check_port(host: str, port: int) -> CheckResult:
    """Is the port of the browser window free?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return CheckResult("port", False, "busy", "busy_hint", {"port": port})
    return CheckResult("port", True, "ok", None, {"port": port})


def check_workers(workers: Sequence[Worker]) -> CheckResult:
    """Which engine processes hold memory now? Never a fault: only a fact."""
    if not workers:
        return CheckResult("workers", True, "none")
    shown = ", ".join(f"{w.model} (pid {w.pid}, {memory_text(w.memory_bytes)})" for w in workers)
    return CheckResult("workers", True, "running", "running_hint", {"count": len(workers), "workers": shown})


def check_gpu(usable: Callable[[], list[str]], idle: Callable[[], IdleCard | None]) -> CheckResult:
    """Which cards can the engine use? A machine without one is fine.

    usable: the cards by the engine's own words, whatever they are driven by. idle: asked when it uses none.
    """
    used = usable()
    if used:
        return CheckResult("gpu", True, "used", None, {"cards": "; ".join(used)})
    card = idle()
    if card is None:
        return CheckResult("gpu", True, "none")
    hint = "fetch_hint" if card.build else None
    return CheckResult("gpu", True, "idle", hint, {"why": card.why, "build": card.build})


def check_server(url: str, answers: Callable[[], tuple[str, str, int]]) -> CheckResult:
    """Does the server that was chosen answer? answers: its kind and version, model and context; raises."""
    try:
        kind, model, context = answers()
    except TwoKeysError as error:
        return CheckResult("server", False, "silent", "silent_hint", {"url": url, "error": error})
    state = "ok" if context else "ok_unknown"
    return CheckResult(
        "server", True, state, None, {"url": url, "kind": kind, "model": model, "context": context}
    )


def check_reachable(name: str, urls: Sequence[str], fetch: Callable[[str], int]) -> CheckResult:
    """Does one of these sites answer? `fetch` returns a status code or raises OSError; asked for only."""
    answers = []
    for url in urls:
        try:
            status = fetch(url)
        except OSError as error:
            answers.append(f"{url}: {error or type(error).__name__}"[:160])
            continue
        if status < 400:
            return CheckResult(name, True, "ok", None, {"url": url})
        answers.append(f"{url}: HTTP {status}")
    return CheckResult(name, False, "unreachable", "unreachable_hint", {"reasons": "; ".join(answers)})
