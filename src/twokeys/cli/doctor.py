"""`twokeys doctor`: run the checks of `twokeys.doctor` on these surroundings and show what they found."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.config import Config
from twokeys.errors import ModelBroken, ModelMissing, NotFound, StoreError, TwoKeysError

if TYPE_CHECKING:
    from twokeys.doctor import CheckResult, IdleCard, Worker
    from twokeys.models.manager import ModelManager

log = logging.getLogger(__name__)

NETWORK_TIMEOUT_S = 8.0


def doctor(
    context: typer.Context,
    network: Annotated[bool, typer.Option("--network", help="doctor.network")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="doctor.deep")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.doctor import describe

    call = Invocation.of(context, model, as_json)
    out = call.out
    rows = []
    for finding in run_checks(call.config(), network=network, deep=deep):
        row = describe(finding, out.language)
        rows.append(row)
        if not out.as_json:
            mark, style = ("✓", "green") if row["ok"] else ("✗", "bold red")
            out.console.print(f"[{style}]{mark}[/] [bold]{row['name']}[/]", end="  ")
            out.console.print(row["detail"], markup=False, soft_wrap=True)
            if row["hint"]:
                out.console.print(f"    → {row['hint']}", style="yellow", markup=False, soft_wrap=True)
    if out.as_json:
        out.json({"checks": rows})
        return
    bad = sum(not row["ok"] for row in rows)
    out.console.print(out.text("doctor.summary_bad" if bad else "doctor.summary_ok", count=bad), style="bold")


def run_checks(config: Config, *, network: bool, deep: bool) -> Iterator["CheckResult"]:
    """Yield one finding after another; a slow one does not hold back those before it."""
    from twokeys import doctor as checks
    from twokeys.builds.folder import active_program
    from twokeys.cli.ui import DEFAULT_HOST, DEFAULT_PORT
    from twokeys.models.manager import ModelManager

    yield checks.check_python()
    yield checks.check_packages(checks.own_requirements())
    yield checks.check_engine_library(checks.read_cpu_flags())
    manager = ModelManager(config)
    yield checks.check_server_binary(active_program(config), lambda path: try_server(path, manager))
    yield checks.check_gpu(lambda: usable_cards(config), lambda: idle_card(config))
    yield checks.check_memory(checks.read_memory())
    planned = list(plan_memory(config))
    yield from planned
    served = any(finding.name == "server" for finding in planned)
    yield checks.check_disk(config.home)
    yield checks.check_home(config.home)
    yield checks.check_database(config.database, lambda: count_conversations(config))
    yield checks.check_models(
        find_models(manager, config.model),
        lambda name: inspect_model(manager, name, deep=deep),
        deep=deep,
        needed=not served,
    )
    yield checks.check_workers(find_workers(config.run_dir))
    yield checks.check_port(DEFAULT_HOST, DEFAULT_PORT)
    if network:
        from twokeys.models.wheels import pip_settings

        yield checks.check_reachable("hubs", [config.hf_endpoint, config.modelscope_endpoint], fetch_status)
        yield checks.check_reachable(
            "package-index", [f"{index}/" for index in pip_settings().indexes], fetch_status
        )


def try_server(path: str, manager: "ModelManager") -> bool:
    """Start a llama-server with the smallest model that is here; only try its arguments when none is.

    Returns whether a model was loaded. Raises TwoKeysError when it does not start.
    """
    from twokeys.engines.trial_start import try_flags, try_start

    try_flags(path)
    name = manager.smallest_installed()
    if name is None:
        return False
    smallest = manager.resolve(name)
    with tempfile.TemporaryDirectory(prefix="twokeys-doctor-") as folder:
        try_start(path, smallest.path, Path(folder))
    return True


def idle_card(config: Config) -> "IdleCard | None":
    """Return why a card of this machine is not used, None when there is none to use."""
    from twokeys.builds.manager import BuildManager
    from twokeys.doctor import IdleCard
    from twokeys.errors import Reason

    builds = BuildManager(config)
    better = builds.recommended()
    if better is not None and better.card is not None:
        return IdleCard(Reason("engines.line.could_be_faster", card=better.card.name), better.build.name)
    why = builds.hindrance()
    return None if why is None else IdleCard(why)


def usable_cards(config: Config) -> list[str]:
    """Return a line for each card that the engine can use, by its own words."""
    from twokeys.builds.folder import active_program
    from twokeys.engines.devices import list_devices

    gib = 1 << 30
    return [
        f"{card.name}: {card.description}, {card.free_bytes / gib:.1f} / {card.total_bytes / gib:.1f} GiB"
        for card in list_devices(active_program(config))
    ]


def ask_server(url: str, config: Config) -> tuple[str, str, int]:
    """Return a server's kind and version, its model and context (0 unknown). Raises TwoKeysError."""
    import asyncio

    from twokeys.engine_source import remote_engine

    async def ask() -> tuple[str, str, int]:
        engine = remote_engine(url, config)
        try:
            info = await engine.info()
        finally:
            await engine.close()
        return info.build or info.kind, info.model, info.context

    return asyncio.run(ask())


def plan_memory(config: Config) -> Iterator["CheckResult"]:
    """Yield whether the model that would answer fits here, or the server answers; nothing when unknown."""
    from twokeys.cli.plan import UNKNOWN_MODEL
    from twokeys.doctor import check_memory_plan, check_server
    from twokeys.engine_source import MODEL_SETTING, choose_model, home_planner, is_url
    from twokeys.store.repository import Repository

    if config.model and is_url(config.model):
        yield check_server(config.model, lambda: ask_server(str(config.model), config))
        yield check_memory_plan(None)
        return
    try:
        repository = Repository.open(config) if config.database.exists() else None
    except StoreError:
        repository = None  # the check of the database tells
    try:
        planner = home_planner(config, repository)
        remembered = repository.get_setting(MODEL_SETTING) if repository is not None else None
        try:
            name = choose_model(config, planner, remembered)
        except ModelMissing:
            name = UNKNOWN_MODEL
        if is_url(name):
            yield check_server(name, lambda: ask_server(name, config))
        yield check_memory_plan(None if is_url(name) else planner.choose(name))
    except TwoKeysError as error:
        log.info("no memory plan: %s", error)  # the check of the models tells
    finally:
        if repository is not None:
            repository.close()


def find_models(manager: "ModelManager", named: str | None) -> list[str]:
    """Return what is installed (also damaged files), and the file named by --model."""
    names = [entry.name for entry in manager.list() if entry.installed or entry.broken]
    if named and Path(named).expanduser().is_file():
        names.append(named)
    return names


def inspect_model(manager: "ModelManager", name: str, *, deep: bool) -> None:
    """Raise ModelError when a model is not whole; with `deep` also when its SHA-256 is not the known one."""
    from twokeys.models.shelf import combined_sha256, hash_file

    model = manager.resolve(name)
    if not deep:
        return
    known = model.sha256 or pinned_sha256(name)
    actual = combined_sha256([hash_file(part) for part in model.parts])
    if known is not None and known != actual:
        raise ModelBroken(name=name, reason="SHA-256")


def pinned_sha256(name: str) -> str | None:
    """Return the catalogue's checksum of a model, None when it has none or does not know the name."""
    from twokeys.models import catalogue

    try:
        return catalogue.find(name).sha256
    except NotFound:
        return None


def find_workers(run_dir: Path) -> "list[Worker]":
    """Return the engine processes of this home that run now."""
    from twokeys.doctor import Worker
    from twokeys.engines.registry import list_workers, memory_bytes

    if not run_dir.is_dir():
        return []
    return [Worker(worker.pid, worker.model, memory_bytes(worker.pid)) for worker in list_workers(run_dir)]


def count_conversations(config: Config) -> int:
    """Open the database and count what is in it. Raises StoreError."""
    from twokeys.store.repository import Repository

    repository = Repository.open(config)
    try:
        return repository.count_conversations()
    finally:
        repository.close()


def fetch_status(url: str) -> int:
    """Return the HTTP status a site answers with. Raises OSError when it does not answer."""
    from twokeys.http import httpx

    try:
        with httpx.Client(timeout=NETWORK_TIMEOUT_S, follow_redirects=True) as client:
            return client.head(url).status_code
    except httpx.HTTPError as exc:
        raise OSError(str(exc)) from exc
