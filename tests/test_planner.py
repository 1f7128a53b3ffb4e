"""One rule says what fits: recommendation, automatic choice, plan and models page are of one mind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.commanding import Cli
from tests.fork_server import ForkServer
from tests.models.gguf_files import Builder, Tensor
from tests.ui.conftest import Browser

from twokeys import planner
from twokeys.config import load_config
from twokeys.core.memory.available import Available, Device
from twokeys.core.memory.overrides import Overrides
from twokeys.engine_source import choose_model
from twokeys.errors import BadInput, ModelMissing
from twokeys.i18n import translate
from twokeys.models import catalogue
from twokeys.models.catalogue import CatalogueModel
from twokeys.models.manager import ModelManager
from twokeys.planner import MemoryPlanner, with_free
from twokeys.services import Services, build_services
from twokeys.web.runtime import set_services

GIB = 1 << 30
SEVEN, THREE, SMALL = "qwen2.5-7b", "qwen2.5-3b", "qwen2.5-0.5b"
I8 = 24


def write_hollow(model: CatalogueModel, folder: Path) -> None:
    """Write the files of a catalogue model with its header and its size; the weights are holes."""
    shape = model.shape
    table = shape.hidden * shape.vocab * 5 // 8
    layer = (model.bytes - 2 * table) // shape.layers - 4096
    tensors = [
        Tensor("token_embd.weight", (table,), I8, bytes=table),
        *(Tensor(f"blk.{n}.ffn_up.weight", (layer,), I8, bytes=layer) for n in range(shape.layers)),
        Tensor("output.weight", (table,), I8, bytes=table),
    ]
    values = {
        "general.architecture": "qwen2",
        "general.file_type": 15,
        "qwen2.block_count": shape.layers,
        "qwen2.context_length": shape.context,
        "qwen2.embedding_length": shape.hidden,
        "qwen2.feed_forward_length": shape.ffn,
        "qwen2.attention.head_count": shape.heads,
        "qwen2.attention.head_count_kv": shape.kv_heads,
        "qwen2.attention.key_length": shape.head_dim,
        "qwen2.attention.value_length": shape.head_dim,
        "qwen2.vocab_size": shape.vocab,
    }
    folder.mkdir(parents=True, exist_ok=True)
    if len(model.parts) > 1:
        values["split.count"] = len(model.parts)
    for number, part in enumerate(model.parts):
        path = folder / part.file
        path.write_bytes(Builder(values, tensors if number == 0 else [], data_bytes=0).build())
        with path.open("r+b") as file:
            file.truncate(model.bytes if number == 0 else path.stat().st_size)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let this machine have so many GiB free, of 64."""

    def set_free(gib: float) -> None:
        available = Available(total_bytes=64 * GIB, free_bytes=int(gib * GIB))
        monkeypatch.setattr(MemoryPlanner, "available", lambda self: available)

    return set_free


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have 64 GiB free, and the cards that the engine tells of."""
    measured = Available(total_bytes=64 * GIB, free_bytes=64 * GIB)
    monkeypatch.setattr(planner, "read_available", lambda *_: measured)


@pytest.fixture
def shelf(home: Path) -> Iterator[Services]:
    """Services over a models folder with every Qwen2.5 in it; none is ever started."""
    for name in catalogue.PREFERRED:
        write_hollow(catalogue.find(name), home / "models")
    services = build_services(load_config())
    set_services(services)
    yield services
    set_services(None)
    services.close()


FITTING = [
    (5.2, SEVEN),
    (5.6, SEVEN),
    (6.0, SEVEN),
    (20, SEVEN),
    (4.8, THREE),
    (2.0, "qwen2.5-1.5b"),
    (1.0, SMALL),
]


@pytest.mark.parametrize(("gib", "name"), FITTING)
def test_recommendation_choice_and_plan_name_the_same_model(
    shelf: Services, home: Path, forks: ForkServer, free: Callable[[float], None], gib: float, name: str
) -> None:
    free(gib)
    assert shelf.memory.recommend().name == name
    assert choose_model(shelf.config, shelf.memory, None) == name
    plan = shelf.memory.check(name)
    assert plan.fits and plan.choice.context >= 4096
    assert name in {row.name for row in shelf.memory.table() if row.plan.fits}, "the memory page"
    command = Cli(home, forks).run("plan", "--memory-gib", str(gib), "--json").json
    assert (command["model"], command["fits"], command["context"]) == (name, True, plan.choice.context)


@pytest.mark.parametrize(("gib", "name"), [(gib, name) for gib, name in FITTING if name != SMALL])
def test_the_models_page_recommends_what_would_be_chosen(
    home: Path, free: Callable[[float], None], gib: float, name: str
) -> None:
    write_hollow(catalogue.find(SMALL), home / "models")
    services = build_services(load_config())
    set_services(services)
    try:
        free(gib)
        said = f"Qwen2.5-{catalogue.find(name).parameters}-Instruct"
        title = translate("modelpage.recommended.title", "en", name=said)
        assert title in Browser(services, "models").run().text()
    finally:
        set_services(None)
        services.close()


def test_below_a_context_to_work_in_the_7b_is_planned_but_not_recommended(
    shelf: Services, free: Callable[[float], None]
) -> None:
    free(4.85)
    assert shelf.memory.choose(SEVEN).possible
    recommended = shelf.memory.recommend()
    assert (recommended.name, recommended.code, recommended.better) == (THREE, "memory_smaller", SEVEN)
    assert (recommended.better_needed_bytes or 0) > 4.85 * GIB, "never: it needs less than there is"
    assert choose_model(shelf.config, shelf.memory, None) == THREE


def test_a_persons_own_limit_holds_for_what_is_recommended(
    shelf: Services, free: Callable[[float], None]
) -> None:
    free(20)
    shelf.repository.set_setting("model", SMALL)
    assert shelf.recommendation().name == SEVEN
    shelf.memory.keep(SMALL, Overrides(limit_mib=2000))
    assert shelf.recommendation().name == "qwen2.5-1.5b"


@pytest.mark.parametrize(
    ("gib", "name", "code"),
    [
        (64, SEVEN, "best_fits"),
        (5.2, SEVEN, "best_fits"),
        (4.8, THREE, "memory_smaller"),
        (2, "qwen2.5-1.5b", "memory_smaller"),
        (1, SMALL, "memory_smaller"),
        (0.25, SMALL, "nothing_fits"),
    ],
)
def test_a_recommendation_needs_no_file_and_says_why(
    home: Path, free: Callable[[float], None], gib: float, name: str, code: str
) -> None:
    services = build_services(load_config())
    try:
        free(gib)
        advised = services.memory.recommend()
        assert (advised.name, advised.code) == (name, code)
        assert name in advised.reason.in_language("zh") and name in advised.reason
        assert (advised.better is None) == (code == "best_fits")
        with pytest.raises(ModelMissing):
            choose_model(services.config, services.memory, None)
    finally:
        services.close()


def test_an_installed_model_that_does_not_fit_is_chosen_only_when_nothing_else_is_here(
    home: Path, free: Callable[[float], None]
) -> None:
    write_hollow(catalogue.find(SEVEN), home / "models")
    services = build_services(load_config())
    try:
        free(2)
        assert choose_model(services.config, services.memory, None) == SEVEN
        write_hollow(catalogue.find(SMALL), home / "models")
        assert choose_model(services.config, services.memory, None) == SMALL
    finally:
        services.close()


def planner_with_card(home: Path, free_gib: Callable[[], float], binary: str | None = None) -> MemoryPlanner:
    """A planner on 64 GiB whose engine tells of one card with so much free."""
    write_hollow(catalogue.find(SEVEN), home / "models")
    env = {"TWOKEYS_HOME": str(home)} | ({"TWOKEYS_LLAMA_SERVER": binary} if binary else {})
    config = load_config(env)
    return MemoryPlanner(
        config,
        ModelManager(config),
        get=lambda key: None,
        put=lambda key, value: None,
        gpus=lambda: (Device("Radeon RX 7600", 8 * GIB, int(free_gib() * GIB)),),
    )


def test_layers_go_back_to_the_card_when_it_has_room_again(home: Path, roomy: None) -> None:
    free_gib = [1.4]
    planner = planner_with_card(home, lambda: free_gib[0])
    spec = planner.spec(planner.models.resolve(SEVEN))
    assert 0 < spec.gpu_layers < 10
    assert planner.respec(spec, chosen=True).gpu_layers == spec.gpu_layers
    free_gib[0] = 7.2
    assert planner.respec(spec, chosen=True).gpu_layers == -1
    assert planner.respec(spec, chosen=False).gpu_layers == spec.gpu_layers, "a person's choice stays"


def test_any_card_that_the_engine_tells_of_is_planned_with(home: Path, roomy: None) -> None:
    plan = planner_with_card(home, lambda: 7.2).choose(SEVEN)
    assert plan.choice.gpu_layers == -1, "no driver's library was needed to see it"


def test_the_driver_is_asked_only_for_what_is_free() -> None:
    engine = (
        Device("NVIDIA GeForce RTX 4090", 24 * GIB, 20 * GIB),
        Device("AMD Radeon RX 7600", 8 * GIB, 7 * GIB),
    )
    driver = (Device("GeForce RTX 4090", 24 * GIB, 3 * GIB, 18 * GIB), Device("Tesla T4", 16 * GIB, 15 * GIB))
    assert with_free(engine, driver) == (driver[0], engine[1]), "a card the engine cannot use is no room"


def test_a_llama_server_s_second_process_is_in_the_plan(home: Path) -> None:
    alone = planner_with_card(home, lambda: 7.2).choose(SEVEN)
    guarded = planner_with_card(home, lambda: 7.2, "/usr/bin/llama-server").choose(SEVEN)
    assert guarded.needs.host.total_bytes - alone.needs.host.total_bytes == 32 << 20


def test_what_drafts_is_in_the_plan_and_a_model_of_another_family_is_refused(
    home: Path, qwen: Path, smollm2: Path
) -> None:
    services = build_services(load_config(model=str(qwen)))
    try:
        memory, name = services.memory, str(qwen)
        without = memory.choose(name, overrides=Overrides())
        simple, mod = (memory.choose(name, overrides=Overrides(draft=kind)) for kind in ("simple", "mod"))
        assert without.needs.host.draft_bytes == 0
        assert 0 < simple.needs.host.draft_bytes < mod.needs.host.draft_bytes
        itself = memory.choose(name, overrides=Overrides(draft=name))
        assert itself.needs.host.draft_bytes > itself.needs.host.weights_bytes
        with pytest.raises(BadInput):
            memory.draft(name, str(smollm2))
        assert memory.draft(name, "off") is None
        gone = memory.choose(name, overrides=Overrides(draft="qwen2.5-nowhere"))
        assert gone.choice.draft is None, "a draft model that was deleted drafts nothing"
    finally:
        services.close()
