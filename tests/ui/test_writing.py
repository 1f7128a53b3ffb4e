"""The writing page, driven by AppTest: project, outline, writing, tools, quality, exports."""

import re
from collections.abc import Callable
from dataclasses import replace

from tests.core.writer.scripts import author
from tests.ui.conftest import Browser

from twokeys.core.writer.outline import build_outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import writing_prompt
from twokeys.core.writer.reading import surroundings
from twokeys.core.writer.section import SectionDraft, SectionVersion
from twokeys.i18n import translate
from twokeys.services import Services
from twokeys.types import GuardEvent

Make = Callable[..., Services]
PROJECT = Project("All about tea", language="en", length=600)


def written(services: Services) -> str:
    made = services.writer.new(PROJECT)
    services.writer.make_outline(made)
    services.writer.wait(made, 20)
    services.writer.start(made)
    services.writer.wait(made, 30)
    return made


def test_a_new_project_gets_its_outline_and_is_written(make_services: Make) -> None:
    services = make_services(author())
    tab = Browser(services, "writing", plain="1").run()
    tab.at.text_input(key="writing_topic").set_value("All about tea").run()
    tab.at.number_input(key="writing_length_words").set_value(600).run()
    tab.click("writing_create")
    [row] = services.writer.projects()
    services.writer.wait(row.id, 20)
    tab.at.run()
    tab.check()
    assert translate("writing.state.ready", "en") in tab.text()
    tab.click("writing_start")
    services.writer.wait(row.id, 30)
    tab.at.run()
    tab.check()
    assert translate("writing.state.done", "en") in tab.text()


def test_the_sections_that_are_ticked_are_written_and_the_others_wait(make_services: Make) -> None:
    services = make_services(author())
    made = services.writer.new(PROJECT)
    services.writer.make_outline(made)
    services.writer.wait(made, 20)
    ids = [section.node.id for section in services.writer.view(made).sections]
    tab = Browser(services, "writing", "en", plain="1", w=made)
    tab.at.session_state[f"writing_tab_{made}"] = "text"
    tab.run()
    for node_id in (ids[0], ids[-1]):
        tab.at.checkbox(key=f"wr_tick_{node_id}").check().run()
    assert tab.at.button(key="writing_ticked").label == "Write 2 ticked sections"
    tab.click("writing_ticked")
    services.writer.wait(made, 30)
    states = {section.node.id: section.state for section in services.writer.view(made).sections}
    assert [node_id for node_id in ids if states[node_id] == "done"] == [ids[0], ids[-1]]
    tab.at.run()
    tab.check()
    assert not tab.at.checkbox(key=f"wr_tick_{ids[1]}").value
    assert all(widget.key != "writing_ticked" for widget in tab.at.button)


def test_the_figures_of_what_is_written_stand_above_every_tab(make_services: Make) -> None:
    services = make_services(author())
    made = services.writer.new(PROJECT)
    services.writer.use_rules(made)
    tab = Browser(services, "writing", plain="1", w=made).run()
    assert "What is written" not in tab.text()
    first = services.writer.view(made).sections[0]
    services.writer.edit(made, first.node.id, "Tea is made of leaves. " * (first.node.length // 5))
    tab = Browser(services, "writing", plain="1", w=made).run()
    assert "about as long as asked" in tab.text()


def test_the_review_agrees_with_its_own_figures(make_services: Make) -> None:
    services = make_services(author())
    made = services.writer.new(PROJECT)
    services.writer.use_rules(made)
    first = services.writer.view(made).sections[0]
    circles = "the same old leaves and the same old water " * (first.node.length // 9)
    services.writer.edit(made, first.node.id, circles)
    tab = Browser(services, "writing", "en", plain="1", w=made)
    tab.at.session_state[f"writing_tab_{made}"] = "quality"
    tab.run()
    assert translate("writing.quality.repeated_none", "en") not in tab.text()
    assert f"phrases go in circles. Look at: {first.number}" in tab.text()
    # the whole is not written yet: one score, of what is
    assert translate("writing.quality.score_so_far", "en") in tab.text()
    assert "0 / 100" not in tab.text().replace("100 / 100", "")


def test_the_list_of_three_levels_names_the_headings_above_each_section(make_services: Make) -> None:
    services = make_services(author())
    made = services.writer.new(PROJECT)
    titles = [
        (1, "Ground"),
        (2, "Now"),
        (3, "Tea"),
        (3, "Cup"),
        (2, "Aim"),
        (3, "Leaf"),
        (1, "End"),
        (2, "Last"),
    ]
    outline = build_outline([(level, title, 60, "") for level, title in titles], 600)
    services.writer.store.change_outline(made, lambda _: outline, "person")
    tab = Browser(services, "writing", "en", plain="1", w=made)
    tab.at.session_state[f"writing_tab_{made}"] = "text"
    tab.run()
    headings = re.findall(r'<div class="wr-chapter">([^<]+)</div>', tab.text())
    assert headings == ["1 Ground", "1.1 Now", "1.2 Aim", "2 End"]


def test_every_tab_is_drawn_in_both_languages(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    for language in ("zh", "en"):
        for name in ("text", "outline", "quality", "document"):
            tab = Browser(services, "writing", language, plain="1", w=made)
            tab.at.session_state[f"writing_tab_{made}"] = name
            tab.run()
            assert "All about tea" in tab.text()


def test_the_outline_is_edited_in_place(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("outline").run()
    node = services.writer.outline(made).sections[0]
    tab.at.text_input(key=f"wr_title_{node.id}").set_value("Leaves").run()
    tab.at.number_input(key=f"wr_length_{node.id}").set_value(250).run()
    tab.check()
    changed = services.writer.outline(made).get(node.id)
    assert (changed.title, changed.length) == ("Leaves", 250)


def test_a_section_that_a_person_adds_gets_a_goal_which_the_model_reads(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    added = services.writer.change_outline(made, lambda entry: entry.add("Cups", length=60)).sections[-1]
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("outline").run()
    tab.at.toggle(key=f"writing_goals_{made}").set_value(True).run()
    tab.at.text_input(key=f"wr_goal_{added.id}").set_value("why porcelain keeps heat").run()
    tab.check()
    view = services.writer.view(made)
    assert view.outline.get(added.id).goal == "why porcelain keeps heat"
    prompt = writing_prompt(surroundings(services.writer.store.read(made), 0), view.outline.get(added.id))
    assert "why porcelain keeps heat" in prompt.user


def test_a_section_is_deepened_and_brought_back(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    tab = Browser(services, "writing", plain="1", w=made).run()
    first = services.writer.view(made).sections[0]
    tab.click(f"wr_open_here_{first.node.id}")
    tab.click("writing_expand")
    services.writer.wait(made, 30)
    tab.at.run()
    tab.check()
    assert len(services.writer.view(made).sections[0].versions) == 2
    tab.click("writing_version_use")
    assert services.writer.view(made).sections[0].text == first.text


def test_a_passage_that_is_not_there_is_not_taken_for_the_whole_section(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    tab = Browser(services, "writing", plain="1", w=made).run()
    first = services.writer.view(made).sections[0]
    tab.click(f"wr_open_here_{first.node.id}")
    tab.at.selectbox(key=f"wr_scope_{first.node.id}_{first.current}").set_value(-2).run()
    tab.at.text_input(key=f"wr_passage_{first.node.id}").set_value("not in there").run()
    tab.check()
    for name in ("expand", "condense", "translate_zh"):
        assert tab.at.button(key=f"writing_{name}").disabled
    tab.at.text_input(key=f"wr_passage_{first.node.id}").set_value(first.text.split(". ")[0]).run()
    assert not tab.at.button(key="writing_expand").disabled


def test_a_stopped_rewriting_shows_the_finished_text_and_its_draft_can_be_left(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first = services.writer.view(made).sections[0]
    services.writer.store.change_section(
        made, first.node.id, draft=SectionDraft(first.current or "", "write")
    )
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.click(f"wr_open_here_{first.node.id}")
    assert first.text in tab.text()
    assert tab.at.button(key="writing_skip").label == translate("writing.act.discard", "en")
    tab.click("writing_skip")
    assert services.writer.view(made).sections[0].state == "done"


def test_text_that_would_be_hidden_is_told_to_stand_below(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first, second = services.writer.view(made).sections[:2]
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("outline").run()
    tab.at.menu_button(key=f"wr_more_{second.node.id}").click("deeper").run()
    tab.check()
    assert services.writer.view(made).sections[0].text == first.text
    assert services.writer.view(made).sections[0].node.title == "Overview"
    assert first.node.title in " ".join(entry.value for entry in tab.at.toast)


def test_a_repeated_sentence_is_taken_out_from_the_care_tab(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first, second = services.writer.view(made).sections[:2]
    services.writer.edit(made, second.node.id, second.text + " " + first.text.split(". ")[0] + ".")
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("quality").run()
    tab.click("wr_take_out_0")
    assert services.writer.repeated(made) == []


def test_a_repeated_sentence_is_shown_where_it_stands(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first, second = services.writer.view(made).sections[:2]
    said = first.text.split(". ")[0] + "."
    services.writer.edit(made, second.node.id, f"{second.text}\n\n- {said}")
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("quality").run()
    tab.click("wr_show_0")
    assert f"<mark>{said}</mark>" in tab.text()
    assert translate("writing.section.repeated", "en", count=1, where=first.number) in tab.text()


def test_notes_from_a_file_are_added_to_a_project_that_is_there(make_services: Make) -> None:
    services = make_services(author())
    made = services.writer.new(PROJECT.with_(notes="Own words."))
    services.writer.use_rules(made)
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.segmented_control(key=f"writing_tab_{made}").set_value("document").run()
    chosen = ("tea.md", b"# Tea\n\nGreen.", "text/markdown")
    tab.at.file_uploader(key="wr_set_files_0").set_value(chosen).run()
    tab.click("wr_set_save")
    assert services.writer.view(made).project.notes == "Own words.\n\n# Tea\n\nGreen."
    tab.click("wr_set_save")
    assert services.writer.view(made).project.notes == "Own words.\n\n# Tea\n\nGreen."


def test_a_section_that_kept_looping_is_offered_a_fix(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first = services.writer.view(made).sections[0]
    loop = SectionVersion("loop", "write", first.text, first.length, 1.0, problem="loop")
    services.writer.store.add_version(made, first.node.id, loop)
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.click("writing_fix")
    assert services.writer.wait(made, 30).sections[0].problem is None


def test_a_text_has_guard_levels_of_its_own_which_every_later_section_keeps(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    tab = Browser(services, "writing", plain="1", w=made).run()
    tab.at.selectbox(key="writing_guard_loop").set_value("off").run()
    tab.at.selectbox(key="writing_guard_uncertainty").set_value("note").run()
    tab.check()
    first = services.writer.view(made).sections[0]
    services.writer.work(made, first.node.id, "write")
    again = services.writer.wait(made, 30).sections[0].answer_id
    assert again is not None and again != first.answer_id
    answer = services.repository.get_message(again)
    assert answer.provenance.guard_report["settings"]["loop"] == "off"
    assert answer.provenance.guard_report["uncertainty"]["tokens"] > 0


def test_what_the_guard_noticed_stands_with_the_section(make_services: Make) -> None:
    services = make_services(author())
    made = written(services)
    first = services.writer.view(made).sections[0]
    assert first.answer_id is not None
    answer = services.repository.get_message(first.answer_id)
    seen = {"start": 0, "script": "thai", "expected": "latin", "sample": "ชา"}
    event = GuardEvent("drift", "warn", 9, 30, seen)
    parts = (replace(answer.provenance.parts[-1], removed_tail="And again tea."),)
    services.repository.update_message(
        answer.id, provenance=replace(answer.provenance, guard=(event,), parts=parts)
    )
    text = Browser(services, "writing", plain="1", w=made).run().text()
    assert "Warning · token 9: The answer left the" in text
    assert "And again tea." in text


def test_an_unknown_project_is_told_and_the_list_is_shown(make_services: Make) -> None:
    services = make_services(author())
    tab = Browser(services, "writing", plain="1", w="nothing").run()
    assert translate("writing.form.create", "en") in tab.text()
