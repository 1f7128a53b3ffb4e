"""Writing a project on the scripted engine with a real store: steps, stops, kills, versions, quality."""

import random
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.core.making import MakeServices, until

from twokeys.core.writer.project import Project
from twokeys.core.writer.section import CLOSING_TOKENS, SectionVersion
from twokeys.engines.scripted import Fail, Say, ScriptedEngine, Step
from twokeys.errors import BadInput, EngineDied, NotFound, StoreLocked
from twokeys.manuscript import export_project
from twokeys.services import Services
from twokeys.token_estimate import estimate_prompt, estimate_tokens
from twokeys.types import GenerationRequest

from .scripts import asked_length, author, outline_json, prose

PROJECT = Project("Tea", language="en", length=600)
CONTEXT = 8192
"""Of the scripted engine."""


def begun(services: Services, project: Project = PROJECT) -> str:
    """A project with the model's outline."""
    made = services.writer.new(project)
    services.writer.make_outline(made)
    services.writer.wait(made, 20)
    return made


def written(services: Services, project: Project = PROJECT) -> str:
    made = begun(services, project)
    services.writer.start(made)
    services.writer.wait(made, 30)
    return made


def test_a_project_is_written_section_by_section_to_its_length(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author())
    services = make_services(engine)
    made = written(services)
    view = services.writer.view(made)
    assert (view.state, view.origin, len(view.sections)) == ("done", "model", 6)
    assert all(section.state == "done" and section.problem is None for section in view.sections)
    assert services.writer.quality(made).score > 85
    assert len({request.messages for request in engine.requests}) == 1 + len(view.sections)
    assert view.left_s == 0.0


def test_the_sections_asked_for_are_written_and_the_rest_waits(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = begun(services)
    view = services.writer.view(made)
    inside = {view.sections[0].node.id, view.sections[-1].node.id}
    services.writer.start(made, sections=inside)
    view = services.writer.wait(made, 30)
    states = {section.node.id: section.state for section in view.sections}
    assert {state for node, state in states.items() if node in inside} == {"done"}
    assert {state for node, state in states.items() if node not in inside} == {"empty"}
    assert view.state != "done"


def test_no_list_of_chats_and_no_search_shows_the_answers(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    written(services)
    assert services.repository.list_conversations() == []
    assert services.repository.search("river") == []


def test_every_section_keeps_the_provenance_of_its_answer(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    view = services.writer.view(written(services))
    version = view.sections[0].versions[-1]
    message = services.repository.get_message(version.message or "")
    assert message.provenance.writing["operation"] == "write"
    assert message.provenance.seed is not None
    assert 0 < version.prompt_tokens <= view.budget.prompt
    assert view.largest_prompt <= view.budget.prompt


def test_two_refused_outlines_are_replaced_by_rules_and_it_is_said(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author(outline="{}"))
    services = make_services(engine)
    view = services.writer.view(begun(services))
    assert view.origin == "rules"
    assert view.outline.length == PROJECT.length
    assert len(engine.requests) == 2


def test_a_short_section_is_gone_on_with_by_itself_within_limits(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author(share=0.5)))
    view = services.writer.view(written(services))
    first = view.sections[0]
    assert [version.operation for version in first.versions] == ["write", "continue"]
    assert first.text.startswith(first.versions[0].text)
    assert first.problem is None


def test_without_automatic_correction_the_fix_is_only_offered(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author(share=0.5)))
    made = begun(services)
    services.writer.start(made, automatic=False)
    view = services.writer.wait(made, 30)
    assert {section.problem for section in view.sections} == {"short"}
    services.writer.fix(made, view.sections[0].node.id)
    assert services.writer.wait(made, 30).sections[0].problem is None


def test_every_section_with_a_problem_is_mended_and_the_others_stay(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    short, looping, *good = writer.view(made).sections
    writer.edit(made, short.node.id, prose(40, 77))
    loop = SectionVersion("loop", "write", looping.text, looping.length, 1.0, problem="loop")
    writer.store.add_version(made, looping.node.id, loop)
    assert writer.fix_all(made) == (short.node.id, looping.node.id)
    view = writer.wait(made, 30)
    assert [section.problem for section in view.sections] == [None] * 6
    assert [view.sections[at].versions[-1].operation for at in (0, 1)] == ["continue", "write"]
    assert view.sections[2:] == tuple(good)


def test_no_request_grows_with_the_length_of_a_section(make_services: MakeServices) -> None:
    def script(request: GenerationRequest) -> Sequence[Step]:
        """Words that never come again, as many as are asked for."""
        draw = random.Random(request.messages[-1].content)
        words = ["".join(draw.choices("abdegiklmnoprstu", k=6)) for _ in range(asked_length(request))]
        text = " ".join(f"{' '.join(words[at : at + 9]).capitalize()}." for at in range(0, len(words), 9))
        return [Say(text[len(request.prefix) :])]

    engine = ScriptedEngine(script)
    services = make_services(engine)
    writer = services.writer
    made = writer.new(PROJECT.with_(length=9000))
    writer.use_rules(made)
    retained = writer.outline(made).sections[0].id
    for node in writer.outline(made).sections[1:]:
        writer.change_outline(made, lambda entry, gone=node.id: entry.delete(gone))  # type: ignore[misc]
    writer.change_outline(made, lambda entry: entry.set_length(retained, 9000))
    asked = len(engine.requests)
    writer.work(made, retained, "write")
    view = writer.wait(made, 60)
    section = view.section(retained)
    assert section is not None and section.problem is None
    assert len(section.versions) > 2
    limit = view.budget.prompt + view.budget.grown(CONTEXT) + CLOSING_TOKENS
    for request in engine.requests[asked:]:
        prompt = estimate_prompt(request.messages) + estimate_tokens(request.prefix)
        assert prompt + request.sampling.max_new_tokens <= limit


def test_a_section_cut_by_its_length_is_continued_and_ends_with_a_sentence(
    make_services: MakeServices,
) -> None:
    def script(request: GenerationRequest) -> Sequence[Step]:
        if request.json_schema is not None:
            return [Say(outline_json())]
        text = prose(2000, len(request.messages[-1].content))
        return [Say(text[len(request.prefix) :])]

    services = make_services(ScriptedEngine(script))
    view = services.writer.view(written(services))
    for section in view.sections:
        assert section.text.endswith(".")
        assert section.problem is None


def test_a_loop_is_cut_back_and_written_on_differently(make_services: MakeServices) -> None:
    def script(request: GenerationRequest) -> Sequence[Step]:
        if request.json_schema is not None:
            return [Say(outline_json())]
        if request.prefix:
            return [Say(" " + prose(100, 7 + len(request.messages[-1].content)))]
        return [Say("The kettle sings on the stove at dawn. " + "We drink the tea and smile again. " * 60)]

    engine = ScriptedEngine(script)
    services = make_services(engine)
    view = services.writer.view(written(services))
    first = view.sections[0]
    assert first.versions[0].loops == 1
    assert first.text.count("We drink the tea and smile again.") < 6
    again = next(request for request in engine.requests if request.prefix)
    assert again.sampling.temperature > 0.7


def test_an_engine_error_ends_the_run_and_start_goes_on(make_services: MakeServices) -> None:
    good, broken = author(), [True]

    def script(request: GenerationRequest) -> Sequence[Step]:
        asked = {entry.messages for entry in engine.requests}
        if request.json_schema is None and len(asked) > 3 and broken[0]:
            return [Say("Half a "), Fail(EngineDied(reason="killed", log=""))]
        return good(request)

    engine = ScriptedEngine(script)
    services = make_services(engine)
    made = written(services)
    view = services.writer.view(made)
    assert view.state == "failed"
    assert view.error is not None and view.error["code"] == "engine_died"
    assert [section.state for section in view.sections].count("done") == 2
    broken[0] = False
    done = [section.current for section in view.sections[:2]]
    services.writer.start(made)
    view = services.writer.wait(made, 30)
    assert view.state == "done"
    assert [section.current for section in view.sections[:2]] == done


def test_stop_keeps_the_text_and_start_goes_on_from_its_last_word(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author(delay_s=0.005))
    services = make_services(engine)
    made = begun(services)
    services.writer.start(made)
    until(lambda: len(services.writer.view(made).sections[1].text) > 60)
    services.writer.stop(made)
    view = services.writer.view(made)
    assert view.state == "paused"
    assert [section.state for section in view.sections[:3]] == ["done", "partial", "empty"]
    half = view.sections[1].text
    first = view.sections[0].current
    engine.script = author()
    services.writer.start(made)
    view = services.writer.wait(made, 30)
    assert view.state == "done"
    assert view.sections[1].text.startswith(half[:40])
    assert view.sections[0].current == first and len(view.sections[0].versions) == 1


def test_pause_ends_after_the_present_section(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author(delay_s=0.003)))
    made = begun(services)
    services.writer.start(made)
    until(lambda: services.writer.view(made).doing is not None)
    services.writer.pause(made)
    view = services.writer.wait(made, 30)
    assert view.state == "paused"
    assert [section.state for section in view.sections].count("done") == 1
    assert all(section.state in ("done", "empty") for section in view.sections)


def test_the_first_section_tells_the_time_left_and_each_section_stores_the_figures(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(author(delay_s=0.003)))
    made = begun(services)
    writer = services.writer
    assert writer.view(made).left_s is None
    writer.start(made)
    until(lambda: bool(writer.view(made).left_s))
    assert not any(section.versions for section in writer.view(made).sections)
    until(lambda: bool(writer.view(made).sections[0].versions))
    until(lambda: writer.store.quality(made) is not None)
    assert writer.view(made).state == "running"
    writer.stop(made)


def test_the_usual_outline_that_a_person_chose_is_not_told_as_the_model_s_failure(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(author()))
    made = services.writer.new(PROJECT)
    services.writer.use_rules(made)
    assert services.writer.view(made).origin == "person"


def test_skipping_the_section_being_written_goes_on_with_the_next(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author(delay_s=0.003)))
    made = begun(services)
    services.writer.start(made)
    first = services.writer.view(made).sections[0].node.id
    until(lambda: bool(services.writer.view(made).sections[0].text))
    services.writer.skip(made, first)
    view = services.writer.wait(made, 60)
    assert [section.state for section in view.sections] == ["skipped"] + ["done"] * 5
    assert view.state == "done"
    services.writer.work(made, first, "write")
    assert services.writer.wait(made, 30).sections[0].state == "done"


def reworking(make_services: MakeServices) -> tuple[Services, str]:
    """A written project whose first section is just being written anew."""
    engine = ScriptedEngine(author())
    services = make_services(engine)
    made = written(services)
    engine.script = author(delay_s=0.01)
    services.writer.work(made, services.writer.view(made).sections[0].node.id, "write")
    until(lambda: bool(services.writer.view(made).sections[0].draft))
    return services, made


def test_a_finished_text_stays_until_its_rewriting_is_done(make_services: MakeServices) -> None:
    services, made = reworking(make_services)
    writer = services.writer
    [finished] = writer.view(made).sections[0].versions
    writer.stop(made)
    section = writer.view(made).sections[0]
    assert (section.state, section.text) == ("partial", finished.text)
    assert 0 < len(section.draft) < len(finished.text)
    assert finished.text in export_project(writer.view(made), "md").decode()
    writer.skip(made, section.node.id)
    section = writer.view(made).sections[0]
    assert (section.state, section.text, section.draft) == ("done", finished.text, "")


def test_leaving_a_rewriting_keeps_the_section_in_the_document(make_services: MakeServices) -> None:
    services, made = reworking(make_services)
    writer = services.writer
    finished = writer.view(made).sections[0].versions[0]
    writer.skip(made, writer.view(made).sections[0].node.id)
    view = writer.wait(made, 30)
    assert view.state == "done"
    assert (view.sections[0].state, view.sections[0].text) == ("done", finished.text)


def test_sections_are_written_again_in_any_order_and_versions_are_kept(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    third = writer.view(made).sections[2]
    writer.work(made, third.node.id, "write")
    writer.work(made, third.node.id, "expand")
    view = writer.wait(made, 30)
    now = view.sections[2]
    assert [version.operation for version in now.versions] == ["write", "write", "expand"]
    assert now.length > third.length
    writer.choose(made, third.node.id, now.versions[0].key)
    assert writer.view(made).sections[2].text == third.text
    with pytest.raises(NotFound):
        writer.choose(made, third.node.id, "nothing")


def test_a_passage_is_rewritten_and_the_rest_stays(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    section = services.writer.view(made).sections[0]
    start = section.text.index(". ") + 2
    end = section.text.index(". ", start) + 1
    services.writer.work(made, section.node.id, "rewrite", instruction="Shorter", selection=(start, end))
    now = services.writer.wait(made, 30).sections[0]
    assert now.text.startswith(section.text[:start])
    assert now.text.endswith(section.text[end:])
    assert now.text != section.text


def test_what_cannot_be_done_is_refused(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    writer = services.writer
    made = writer.new(PROJECT)
    with pytest.raises(BadInput):
        writer.start(made)
    writer.use_rules(made)
    node = writer.view(made).sections[0].node.id
    with pytest.raises(BadInput):
        writer.work(made, node, "expand")
    writer.edit(made, node, "Some text. " * 2000)
    with pytest.raises(BadInput):
        writer.work(made, node, "rewrite", instruction="")
    with pytest.raises(BadInput):
        writer.work(made, node, "condense")
    with pytest.raises(NotFound):
        writer.view("nothing")


def test_texts_go_with_their_headings_when_the_outline_changes(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    view = services.writer.view(made)
    chapter = view.outline.nodes[0].id
    services.writer.change_outline(made, lambda outline: outline.move(chapter, 1))
    moved = services.writer.view(made)
    assert [section.text for section in moved.sections[:4]] == [view.sections[i].text for i in (2, 3, 0, 1)]
    services.writer.change_outline(made, lambda outline: outline.delete(chapter))
    assert services.writer.view(made).state == "done"


def test_no_text_is_lost_when_a_section_gets_headings_below_it(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    first, second = writer.view(made).sections[:2]
    writer.change_outline(made, lambda entry: entry.add("More", after=first.node.id, level=3))
    view = writer.view(made)
    headings = [(node.level, node.title) for node in view.outline.nodes[1:5]]
    assert headings == [(2, first.node.title), (3, "Overview"), (3, "More"), (2, second.node.title)]
    assert (view.sections[0].node.id, view.sections[0].text) == (first.node.id, first.text)
    third = view.outline.nodes[5]
    assert third.level == 1
    writer.change_outline(made, lambda entry: entry.delete(view.sections[1].node.id).shift(second.node.id, 1))
    exported = export_project(writer.view(made), "md").decode()
    assert first.text in exported and second.text in exported


def test_an_abstract_of_nothing_is_refused(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author())
    services = make_services(engine)
    made = begun(services)
    asked = len(engine.requests)
    for name in ("abstract", "glossary"):
        with pytest.raises(BadInput):
            services.writer.work(made, name, name)  # type: ignore[arg-type]
    assert len(engine.requests) == asked


def test_repetition_is_marked_and_can_be_taken_out(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    first, second = writer.view(made).sections[:2]
    writer.edit(made, second.node.id, second.text + " " + first.text.split(". ")[0] + ".")
    [repeated] = writer.repeated(made)
    assert (repeated.place.section, repeated.before.section) == (second.node.id, first.node.id)
    writer.drop_passage(made, repeated.place)
    assert writer.repeated(made) == []
    with pytest.raises(BadInput):
        writer.drop_passage(made, repeated.place)


def test_the_stored_figures_are_those_of_the_present_text(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer

    def stored() -> Mapping[str, Any]:
        figures = writer.store.quality(made)
        assert figures == writer.quality(made).to_dict()
        return figures

    full = stored()
    first = writer.view(made).sections[0]
    writer.edit(made, first.node.id, "Short.")
    assert stored()["length"] < full["length"]
    writer.choose(made, first.node.id, first.versions[0].key)
    assert stored()["length"] == full["length"]
    for section in writer.view(made).sections[:3]:
        writer.skip(made, section.node.id)
    half = stored()
    assert half["asked"] == PROJECT.length
    assert half["score"] < 75 < full["score"]


def test_a_term_is_written_one_way_everywhere(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    first, second = writer.view(made).sections[:2]
    writer.edit(made, first.node.id, "They use fine-tuning and fine-tuning.")
    writer.edit(made, second.node.id, "They use finetuning here.")
    [variants] = writer.variants(made)
    assert writer.unify(made, variants, "fine-tuning") == 1
    assert writer.variants(made) == []


def test_closing_pass_abstract_and_glossary(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    writer = services.writer
    before = writer.view(made)
    writer.closing_pass(made)
    writer.work(made, "abstract", "abstract")
    writer.work(made, "glossary", "glossary")
    view = writer.wait(made, 60)
    assert view.sections[0].text == before.sections[0].text
    for entry, old in zip(view.sections[1:], before.sections[1:], strict=True):
        assert entry.text.endswith(old.text) and len(entry.text) > len(old.text)
    assert view.extras["abstract"].text and view.extras["glossary"].text
    assert view.state == "done"


def test_a_second_process_cannot_write_the_same_project(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author(delay_s=0.01)))
    made = begun(services)
    services.writer.start(made)
    other = make_services(ScriptedEngine(author()))
    assert other.writer.view(made).elsewhere
    with pytest.raises(BadInput):
        other.writer.start(made)
    services.writer.stop(made)
    assert not other.writer.view(made).elsewhere


def test_a_store_that_is_locked_at_the_start_does_not_block_the_project_for_good(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(author()))
    made = begun(services)
    other = sqlite3.connect(services.config.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreLocked):
            services.writer.start(made)
        assert services.writer.view(made).state == "ready"
        services.writer.stop(made)
    finally:
        other.execute("ROLLBACK")
        other.close()
    services.writer.start(made)
    assert services.writer.wait(made, 30).state == "done"


def test_what_is_asked_for_while_a_run_is_stopping_waits_for_its_end(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author(delay_s=0.003))
    services = make_services(engine)
    made = begun(services)
    services.writer.start(made)
    until(lambda: services.writer.view(made).doing is not None)
    stopping = threading.Thread(target=services.writer.stop, args=(made,))
    stopping.start()
    until(lambda: services.writer.view(made).doing is None or not stopping.is_alive())
    engine.script = author()
    services.writer.start(made)
    stopping.join()
    assert services.writer.wait(made, 60).state == "done"


def test_nothing_is_written_while_the_outline_is_being_made(make_services: MakeServices) -> None:
    engine = ScriptedEngine(author())
    services = make_services(engine)
    made = begun(services)
    engine.script = author(outline=outline_json(), delay_s=0.02)
    services.writer.make_outline(made)
    with pytest.raises(BadInput):
        services.writer.start(made)
    services.writer.stop(made)
    assert services.writer.view(made).state == "ready"


def test_a_deleted_project_comes_back_with_undo(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services)
    token = services.writer.delete(made)
    assert services.writer.projects() == []
    services.repository.undo(token)
    [row] = services.writer.projects()
    assert (row.done, row.total, row.running) == (6, 6, False)


def test_a_deleted_project_leaves_no_notes_prompts_or_sections_in_the_files(
    make_services: MakeServices, home: Path
) -> None:
    services = make_services(ScriptedEngine(author()))
    made = written(services, Project("Rare vermilion tea", language="en", length=600, notes="zaffre notes"))
    texts = [section.text for section in services.writer.view(made).sections]
    words = ["vermilion", "zaffre", *(text[:40] for text in texts)]

    def left() -> list[str]:
        held = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        return [word for word in words if any(word.encode() in data for data in held)]

    assert left() == words
    services.repository.bin.remove(services.writer.delete(made))
    assert left() == []


def test_an_answer_of_hardly_any_text_is_written_anew(make_services: MakeServices) -> None:
    usual, calls = author(), []

    def first_says_nothing(request: GenerationRequest) -> Sequence[Step]:
        calls.append(request)
        return [Say("Nothing much here.")] if len(calls) == 2 else usual(request)

    services = make_services(ScriptedEngine(first_says_nothing))
    first = services.writer.view(written(services)).sections[0]
    assert [version.operation for version in first.versions] == ["write", "write"]
    assert "Nothing much" not in first.text
    assert first.problem is None


def test_the_words_of_the_task_do_not_stay_in_the_text(make_services: MakeServices) -> None:
    usual = author()

    def echoes(request: GenerationRequest) -> Sequence[Step]:
        task = request.messages[-1].content.rsplit("\n\n", 1)[-1].splitlines()[0]
        answer = usual(request)
        return answer if request.json_schema or request.prefix else [Say(f"{task} "), *answer]

    services = make_services(ScriptedEngine(echoes))
    view = services.writer.view(written(services))
    assert all("Now write" not in section.text for section in view.sections)
    assert all(section.text for section in view.sections)
