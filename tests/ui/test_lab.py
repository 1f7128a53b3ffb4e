"""The lab's page over the scripted engine: a study from the form to its report, the claims, tuning."""

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.ui.conftest import Browser

from twokeys.core.study.fleet import FleetSpec, MemberView
from twokeys.core.study.lab import StudyView
from twokeys.core.study.study import Study, grid_cells
from twokeys.engines.scripted import Say, Step
from twokeys.errors import BadFile, BadParameter, EngineUnreachable
from twokeys.i18n import translate
from twokeys.services import Services
from twokeys.types import GenerationRequest
from twokeys.ui.lab.setup import form_study, read_study

SMALL = Study.from_dict(
    {
        "name": "small",
        "prompts": ["fact-en:6"],
        "seeds": 1,
        "outcomes": ["correct", "tokens"],
        "base": {"max_new_tokens": 32},
        "grid": {"temperature": [0.3, 1.0]},
    }
)


def finished(services: Services, study: Study = SMALL) -> StudyView:
    view = services.lab.create(study)
    services.lab.start(view.id)
    view = services.lab.wait(view.id, 30)
    assert view.state == "done", view.error
    return view


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("view", ["studies", "new", "claims", "tune"])
def test_every_part_is_drawn_in_both_languages(
    open_tab: Callable[..., Browser], view: str, language: str
) -> None:
    text = open_tab("lab", language, view=view).text()
    assert translate("labpage.title", language) in text
    key = {"studies": "labpage.shelf.shipped", "new": "labpage.new.start", "claims": "labpage.claims.run",
           "tune": "labpage.tune.start"}[view]  # fmt: skip
    assert translate(key, language) in text


def test_a_study_of_the_form_is_started_run_and_reported(
    services: Services, open_tab: Callable[..., Browser]
) -> None:
    tab = open_tab("lab", view="new")
    tab.at.segmented_control(key="lab_source").set_value("form").run()
    tab.at.text_input(key="lab_temperatures").set_value("0.2, 0.9").run()
    tab.check()
    assert "answers per cell; here are 16" in tab.text(), "the sample a verdict needs, beforehand"
    assert "too few answers for a verdict" not in tab.text(), "the grid it begins with can decide"
    tab.click("lab_new_start")
    view = services.lab.list()[0]
    assert [cell.name for cell in view.study.cells] == ["temperature=0.2", "temperature=0.9"]
    assert services.lab.wait(view.id, 30).state == "done"
    tab.run()
    text = tab.text()
    assert translate("labpage.report.verdicts", "en") in text
    assert "temperature=0.9" in text
    assert tab.at.get("vega_lite_chart"), "there are pictures"


def test_what_the_guard_noticed_stands_with_a_studys_answer(
    services: Services, open_tab: Callable[..., Browser]
) -> None:
    view = finished(services)
    event = {
        "kind": "loop",
        "level": "warn",
        "at_token": 9,
        "at_char": 30,
        "data": {"copies": 3, "sample": "so"},
    }
    answers = services.lab.answers
    services.lab.answers = lambda *at: [replace(answer, guard=(event,)) for answer in answers(*at)]  # type: ignore[method-assign]
    tab = open_tab("lab", s=view.id)
    tab.at.session_state["lab_answers"] = True
    tab.run()
    assert "Warning · token 9: The answer seems to go in circles" in tab.text()


def test_the_form_takes_one_more_parameter_prompts_of_ones_own_and_slots(
    services: Services, open_tab: Callable[..., Browser]
) -> None:
    tab = open_tab("lab", view="new")
    tab.at.segmented_control(key="lab_source").set_value("form").run()
    tab.at.multiselect(key="lab_sets").set_value([]).run()
    assert translate("labpage.new.choose_sets", "en") in tab.text()
    tab.at.text_area(key="lab_own").set_value("Why is the sky blue?\n\n天空为什么是蓝色的？").run()
    tab.at.selectbox(key="lab_axis").set_value("top_k").run()
    tab.at.text_input(key="lab_values_top_k").set_value("0, 20").run()
    tab.at.text_input(key="lab_temperatures").set_value("0.7").run()
    tab.at.number_input(key="lab_slots").set_value(2).run()
    tab.check()
    tab.click("lab_new_keep")
    study = services.lab.list()[0].study
    assert [cell.name for cell in study.cells] == ["top_k=0", "top_k=20"] and study.slots == 2
    assert [(p.text, p.language) for p in study.prompts] == [
        ("Why is the sky blue?", "en"), ("天空为什么是蓝色的？", "zh"),
    ]  # fmt: skip
    tab = open_tab("lab", view="new")
    tab.at.segmented_control(key="lab_source").set_value("form").run()
    tab.at.selectbox(key="lab_axis").set_value("kv_type").run()
    tab.at.multiselect(key="lab_values_kv_type").set_value(["f16", "q8_0"]).run()
    tab.check()
    tab.click("lab_new_keep")
    newest = services.lab.list()[0].study
    assert {cell.setup.kv_type for cell in newest.cells} == {"f16", "q8_0"}


def captions(tab: Browser) -> list[str]:
    return [entry for entry in re.findall(r"lab-caption[^>]*>([^<]+)", tab.text()) if entry]


def test_the_pictures_measure_and_axes_are_chosen_and_survive_a_switch_of_language(
    services: Services, open_tab: Callable[..., Browser]
) -> None:
    grid = replace(SMALL, cells=grid_cells({"temperature": [0.3, 1.0], "top_k": [0, 20]}))
    tab = open_tab("lab", s=finished(services, grid).id)
    assert captions(tab)[:2] == [translate("lab.measure.correct.title", "en"), "temperature × top_k"]
    tab.at.selectbox(key="lab_picture_measure").set_value("tok_per_s").run()
    tab.at.selectbox(key="lab_picture_x").set_value("top_k").run()
    tab.check()
    assert captions(tab)[1] == "top_k × temperature", "the other axis takes the other side"
    first = translate("lab.measure.tok_per_s.title", "en")
    assert captions(tab)[0] == first
    tab.at.session_state["language"] = "zh"
    tab.run()
    assert captions(tab)[:2] == [translate("lab.measure.tok_per_s.title", "zh"), "top_k × 温度"]
    other = open_tab("lab", s=finished(services).id)
    assert "lab_picture_x" not in [box.key for box in other.at.selectbox], "one axis leaves nothing to choose"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_speaks_the_language_and_delete_can_be_undone(
    services: Services, open_tab: Callable[..., Browser], language: str
) -> None:
    view = finished(services)
    tab = open_tab("lab", language, s=view.id)
    result = services.lab.result(view.id)
    for comparison in result.comparisons:
        assert comparison.sentence(language)[:20] in tab.text().replace("&quot;", '"')
    tab.click("lab_delete")
    assert services.lab.list() == []
    tab.click("undo")
    assert [entry.id for entry in services.lab.list()] == [view.id]


def test_a_list_that_is_no_list_of_numbers_is_told_and_not_started(open_tab: Callable[..., Browser]) -> None:
    tab = open_tab("lab", view="new")
    tab.at.segmented_control(key="lab_source").set_value("form").run()
    tab.at.text_input(key="lab_temperatures").set_value("hot").run()
    tab.check()
    assert "hot" in tab.text()
    assert "lab_new_start" not in [button.key for button in tab.at.button]


def test_a_file_is_read_and_a_bad_one_refused(services: Services) -> None:
    assert read_study(SMALL.to_toml().encode(), "small.toml") == SMALL
    with pytest.raises(BadFile):
        read_study(b"\xff\xfe\x00", "broken.toml")
    with pytest.raises(BadParameter):
        read_study(b'prompts = ["fact-en"]\nwrong = 1', "wrong.toml")


def test_the_form_makes_axes_only_of_what_varies(services: Services) -> None:
    study = form_study("Mine", ["fact-zh"], "0.3、0.7", "64", 2, 1, ["correct"])
    assert study.axes == ("temperature",) and study.base.max_new_tokens == 64
    assert study.generations == 4


def test_the_claims_are_started_with_one_button(
    services: Services, open_tab: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(type(services.lab), "start", lambda self, study_id: started.append(study_id))
    tab = open_tab("lab", view="claims")
    tab.click("lab_claims_run")
    names = {services.lab.view(study_id).study.name for study_id in started}
    assert names == {name for name in services.lab.shipped() if name.startswith("claims-")}


def test_a_tuning_is_deleted_and_taken_back(services: Services, open_tab: Callable[..., Browser]) -> None:
    tab = open_tab("lab", view="tune")
    tab.at.number_input(key="tune_budget").set_value(40).run()
    tab.click("tune_start")
    made = services.tuner.list()[0].id
    tab.click(f"tune_delete_{made}")
    assert services.tuner.list() == []
    tab.click("undo")
    assert services.tuner.list()[0].state == "paused"
    tab.click(f"tune_go_on_{made}")
    assert services.tuner.wait(made, 60).state == "done"


def test_tuning_runs_to_its_verdict(services: Services, open_tab: Callable[..., Browser]) -> None:
    tab = open_tab("lab", view="tune")
    tab.at.number_input(key="tune_budget").set_value(40).run()
    tab.click("tune_start")
    view = services.tuner.list()[0]
    assert services.tuner.wait(view.id, 60).state == "done"
    tab.run()
    assert translate("labpage.tune.not_better", "en") in tab.text(), "a scripted engine has no better setting"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_run_shows_each_engine_with_its_state_its_rows_a_minute_and_what_is_wrong(
    services: Services, open_tab: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    facts = {"model": "smollm2", "build": "b1", "device": "a card"}
    lost = {"code": "engine_unreachable", "params": {"url": "http://b:1"}}
    members = (
        MemberView("http://a:1", "working", 12, 30.04, None, facts),
        MemberView("http://b:1", "lost", 0, None, lost, None),
    )
    view = replace(services.lab.create(SMALL), state="running", fleet=members)
    monkeypatch.setattr(type(services.lab), "view", lambda self, study_id: view)
    text = open_tab("lab", language, s=view.id).text()
    rows = re.findall(r"<li>(.*?)</li>", re.search(r'<ul class="lab-fleet">.*?</ul>', text)[0])  # type: ignore[index]
    counted = ("12 个回答", "每分钟 30.0 个") if language == "zh" else ("12 answers", "30.0 a minute")
    assert all(part in rows[0] for part in ("http://a:1", "smollm2 · b1 · a card", *counted))
    assert translate("labpage.engines.state.working", language) in rows[0]
    assert translate("labpage.engines.state.lost", language) in rows[1]
    assert EngineUnreachable(url="http://b:1").message(language) in rows[1]


def test_a_study_starts_on_the_servers_that_were_chosen_and_offers_them_the_next_time(
    services: Services, open_tab: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    services.set_server_access("http://10.0.0.5:8080", key="k", slots=None)
    started: list[FleetSpec] = []
    monkeypatch.setattr(type(services.lab), "start", lambda self, study_id, on: started.append(on))
    view = services.lab.create(SMALL)
    tab = open_tab("lab", s=view.id)
    assert not tab.at.button(key="lab_start").disabled
    tab.at.segmented_control(key=f"lab_where_{view.id}").set_value("servers").run()
    assert tab.at.button(key="lab_start").disabled, "none is chosen yet"
    servers = tab.at.multiselect(key=f"lab_known_{view.id}")
    assert servers.options == ["http://10.0.0.5:8080"], "one that was set up on the settings page"
    servers.set_value(["http://10.0.0.5:8080"]).run()
    typed = tab.at.text_area(key=f"lab_servers_{view.id}")
    typed.set_value("10.0.0.6:8080").run()
    assert tab.at.button(key="lab_start").disabled and "10.0.0.6:8080" in tab.text(), "no address"
    typed.set_value("http://10.0.0.6:8080/\nhttp://10.0.0.5:8080").run()
    tab.click("lab_start")
    assert started == [FleetSpec(("http://10.0.0.5:8080", "http://10.0.0.6:8080"))]


def test_a_study_starts_on_a_ray_cluster(
    services: Services, open_tab: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[FleetSpec] = []
    monkeypatch.setattr(type(services.lab), "start", lambda self, study_id, on: started.append(on))
    view = services.lab.create(SMALL)
    tab = open_tab("lab", s=view.id)
    tab.at.segmented_control(key=f"lab_where_{view.id}").set_value("ray").run()
    tab.at.number_input(key=f"lab_workers_{view.id}").set_value(3).run()
    tab.click("lab_start")
    assert started == [FleetSpec(ray="local", workers=3)]


def test_prompts_of_ones_own_can_be_tuned(services: Services, open_tab: Callable[..., Browser]) -> None:
    tab = open_tab("lab", view="tune")
    tab.at.segmented_control(key="tune_goal").set_value("complete").run()
    tab.at.multiselect(key="tune_sets_complete").set_value([]).run()
    tab.at.text_area(key="tune_own").set_value("One?\nTwo?\nThree?\nFour?").run()
    tab.at.number_input(key="tune_budget").set_value(40).run()
    tab.check()
    tab.click("tune_start")
    view = services.tuner.list()[0]
    assert [prompt.text for prompt in view.tuning.prompts] == ["One?", "Two?", "Three?", "Four?"]
    assert services.tuner.wait(view.id, 60).state == "done"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_right_answers_are_tuned_on_prompts_of_ones_own_with_how_they_are_judged(
    services: Services, open_tab: Callable[..., Browser], language: str
) -> None:
    tab = open_tab("lab", language, view="tune")
    tab.at.multiselect(key="tune_sets_correct").set_value([]).run()
    tab.at.text_area(key="tune_own_correct").set_value("One? => number: 1\nTwo?").run()
    tab.check()
    shown = tab.text()
    assert {"zh": "第 2 行（“Two?”）", "en": "line 2 (“Two?”)"}[language] in shown
    assert "tune_start" not in [button.key for button in tab.at.button], "nothing to start yet"
    tab.at.text_area(key="tune_own_correct").set_value(
        "One? => number: 1\nTwo? => choice: *a, b\nThree? => regex: function\nFour? => json: {}"
    ).run()
    tab.at.number_input(key="tune_budget").set_value(40).run()
    tab.check()
    tab.click("tune_start")
    view = services.tuner.list()[0]
    kinds = [prompt.checker.kind for prompt in view.tuning.usable if prompt.checker]
    assert kinds == ["number", "choice", "regex", "json"]
    assert services.tuner.wait(view.id, 60).state == "done"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pairs_are_read_blind_to_a_verdict(make_services: Callable[..., Services], language: str) -> None:
    def answer(request: GenerationRequest) -> list[Step]:
        role = any(message.role == "system" for message in request.messages)
        return [Say(f"{'Dear all' if role else 'hey'}, {request.messages[-1].content}")]

    services = make_services(answer)

    def tab_of(view: str) -> Browser:
        return Browser(services, "lab", language, plain="1", view=view).run()

    tab = tab_of("read")
    assert translate("labpage.read.nothing", language) in tab.text()
    tab = tab_of("claims")
    assert translate("labpage.read.title", language) in tab.text()
    tab.click("lab_read_write")
    [view] = services.lab.list()
    assert services.lab.wait(view.id, 60).state == "done"
    reading = services.lab.readings.of(view.model)
    assert reading is not None and len(reading.pairs) == 20
    assert translate("labpage.read.begin", language, count=20) in tab_of("claims").text()
    tab = tab_of("read")
    for number in range(3):
        text = html.unescape(tab.text())
        assert reading.pairs[number].request in text
        assert translate("labpage.read.role", language) not in text, "names are hidden"
        tab.click(f"lab_read_a_{number}")
    tab.click("lab_read_back")
    tab.click("lab_read_tie_2")
    for number in range(3, 20):
        services.lab.readings.vote(view.id, number, "a" if reading.pairs[number].role_first else "b")
    tab.run()
    text = tab.text()
    assert translate("labpage.read.revealed", language) in text
    assert translate("lab.claim.verdict.confirmed", language) in text
    assert translate("labpage.read.role", language) in text
    assert translate("lab.claim.verdict.confirmed", language) in tab_of("claims").text()
