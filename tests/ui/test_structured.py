"""The form of answers: chosen in its dialog, its answers drawn as tables without our component."""

import json
from collections.abc import Callable, Sequence

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.core.structured.derive import TableColumn, table_columns, table_schema
from twokeys.engines.scripted import End, Say, Step
from twokeys.services import Services
from twokeys.types import AnswerSchema, GenerationRequest
from twokeys.ui.drafts import DRAFT_SETTING

Open = Callable[..., Browser]
COLUMNS = (TableColumn("part"), TableColumn("count", "number"))
TABLE = AnswerSchema.of(table_schema(COLUMNS), "Table", "table")
ROWS = '[{"part": "bolt <M6>", "count": 2}, {"part": "nut", "count": 3}]'


def play(request: GenerationRequest) -> Sequence[Step]:
    if request.messages[-1].content == "cut":
        return [Say(ROWS[:50]), End("length")]
    return [Say("[]" if request.messages[-1].content == "none" else ROWS)]


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services(play)


def form_of(services: Services, tab: Browser) -> AnswerSchema | None:
    return services.conversations.get(tab.conversation).settings.answer_schema


def opened(open_tab: Open, kind: str = "table") -> Browser:
    tab = open_tab()
    tab.click("form_open")
    if kind != "table":
        tab.at.button_group(key="form_kind").set_value(kind).run()
        tab.check()
    return tab


def rows_of(tab: Browser, part: str) -> list[str]:
    """The keys of a part of the dialog's rows, in their order."""
    kinds = {"name": tab.at.text_input, "choices": tab.at.text_input, "type": tab.at.selectbox}
    widgets = kinds.get(part, tab.at.checkbox)
    return [widget.key for widget in widgets if str(widget.key).startswith(f"form_{part}_")]


def test_a_table_is_asked_for_by_its_columns_and_shown_again_when_it_is_changed(
    open_tab: Open, services: Services
) -> None:
    tab = opened(open_tab)
    names, types = rows_of(tab, "name"), rows_of(tab, "type")
    tab.at.text_input(key=names[0]).set_value("part")
    tab.at.text_input(key=names[1]).set_value("size")
    tab.at.selectbox(key=types[1]).set_value("choice").run()
    tab.at.text_input(key=rows_of(tab, "choices")[0]).set_value("S，M, L")
    tab.at.checkbox(key=rows_of(tab, "empty")[1]).check()
    tab.click("form_use")
    wanted = (TableColumn("part"), TableColumn("size", "choice", ("S", "M", "L"), may_be_empty=True))
    form = form_of(services, tab)
    assert form is not None and table_columns(form.value) == wanted and form.origin == "table"
    assert "Table\\: part, size" in tab.text()
    tab.click("form_open")
    assert [tab.at.text_input(key=key).value for key in rows_of(tab, "name")] == ["part", "size"]
    assert tab.at.text_input(key=rows_of(tab, "choices")[0]).value == "S, M, L"
    tab.click("form_cancel")
    tab.click("form_drop")
    assert form_of(services, tab) is None


def test_columns_are_added_and_removed(open_tab: Open) -> None:
    tab = opened(open_tab)
    first = rows_of(tab, "name")
    tab.at.text_input(key=first[2]).set_value("stays").run()
    tab.click("form_add")
    tab.click(first[0].replace("name", "remove"))
    assert rows_of(tab, "name")[:2] == first[1:]
    assert len(rows_of(tab, "name")) == len(first)
    assert tab.at.text_input(key=first[2]).value == "stays"


def test_a_table_without_columns_and_a_list_without_values_are_refused(
    open_tab: Open, services: Services
) -> None:
    tab = opened(open_tab)
    tab.click("form_use")
    assert "needs at least one column" in tab.text() and form_of(services, tab) is None
    tab.at.text_input(key=rows_of(tab, "name")[0]).set_value("size")
    tab.at.selectbox(key=rows_of(tab, "type")[0]).set_value("choice").run()
    tab.click("form_use")
    assert "“size” takes one of a list" in tab.text() and form_of(services, tab) is None


def test_the_schema_of_an_example_is_shown_and_used(open_tab: Open, services: Services) -> None:
    tab = opened(open_tab, "json")
    tab.at.text_area(key="form_example").set_value('{"due": "2026-05-01"}').run()
    shown = json.loads(tab.at.code[0].value)
    assert shown["properties"] == {"due": {"type": "string", "format": "date"}}
    tab.click("form_use")
    form = form_of(services, tab)
    assert form is not None and form.value == shown and form.origin == "example"


def test_a_keyword_that_no_engine_honours_is_named_before_anything_is_sent(
    open_tab: Open, services: Services
) -> None:
    tab = opened(open_tab, "json")
    tab.at.button_group(key="form_way").set_value("schema").run()
    refused = {"title": "Parts", "type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}}
    tab.at.text_area(key="form_schema").set_value(json.dumps(refused)).run()
    assert "“Parts”" in tab.text() and "if (#)" in tab.text()
    tab.click("form_use")
    assert form_of(services, tab) is None
    tab.at.text_area(key="form_schema").set_value('{"type": "object", "title": "Parts"}').run()
    tab.click("form_use")
    form = form_of(services, tab)
    assert form is not None and (form.name, form.origin) == ("Parts", "schema")


def ask(services: Services, tab: Browser, text: str) -> None:
    settings = services.conversations.get(tab.conversation).settings
    services.answers.send(tab.conversation, text, answer_schema=TABLE)
    finish(services, tab.conversation)
    assert settings.answer_schema is None
    tab.run()


def test_an_answer_is_a_table_with_its_files_and_its_raw_text_without_our_component(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    ask(services, tab, "parts")
    text = tab.text()
    assert "<td>bolt &lt;M6&gt;</td>" in text and "Valid" in text
    assert [code.value for code in tab.at.code] == [ROWS]
    labels = [button.proto.label for button in tab.at.get("download_button")]
    assert labels == ["CSV", "XLSX", "JSON"]


def test_a_cut_answer_says_after_how_many_rows_and_is_never_called_valid(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab(language="zh")
    ask(services, tab, "cut")
    assert "写完 1 行后截断：到了最大生成长度 2048" in tab.text()
    assert "格式正确" not in tab.text() and "<td>nut</td>" not in tab.text()


def test_the_rows_of_a_conversation_are_gathered_with_their_answers(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    for question in ("parts", "none", "cut"):
        ask(services, tab, question)
    tab.click("gather_rows")
    text = tab.text()
    assert "3 rows from 2 answers" in text
    assert "<td>3</td>" in text and text.count("bolt &lt;M6&gt;</td>") >= 3


def test_the_columns_of_a_comparison_are_asked_for_a_table_and_keep_it_when_they_are_changed(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab("compare")
    tab.click("compare_form_open")
    tab.at.text_input(key=rows_of(tab, "name")[0]).set_value("part")
    tab.click("form_use")
    assert tab.text().count("Table: part") == 3
    tab.at.text_area(key="compare_question").set_value("parts").run()
    tab.click("compare_start")
    started = tab.at.query_params["cmp"]
    comparison = services.compare.stored.get(started if isinstance(started, str) else started[0])
    finish(services, comparison.conversation_id)
    again = open_tab("compare", cmp=comparison.id)
    assert again.text().count("<td>bolt &lt;M6&gt;</td>") == 3
    again.click("compare_change")
    assert again.text().count("Table: part") == 3
    again.click("compare_form_drop")
    assert "Table: part" not in again.text()


def test_a_form_typed_into_the_box_holds_for_the_conversation_until_it_is_taken_off(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.say("/table part, count:number")
    form = form_of(services, tab)
    assert form is not None and table_columns(form.value) == COLUMNS and form.origin == "table"
    assert services.conversations.messages(tab.conversation) == [], "a form alone is no message"
    assert "Table\\: part, count" in tab.text()
    assert [toast.value for toast in tab.at.toast] == [
        "All further answers have this form: Table\\: part, count"
    ]
    tab.say("parts")
    finish(services, tab.conversation)
    tab.run()
    assert "<td>bolt &lt;M6&gt;</td>" in tab.text()
    tab.say("/table off")
    assert form_of(services, tab) is None
    assert [toast.value for toast in tab.at.toast] == ["All further answers are text again"]


def test_a_form_above_a_question_is_that_message_s_alone(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.say("/table part, count:number\nparts")
    finish(services, tab.conversation)
    question, answer = services.conversations.messages(tab.conversation)
    assert question.content == "parts", "the form is no word of the question"
    assert answer.provenance.answer_schema is not None and form_of(services, tab) is None
    tab.run()
    assert "<td>bolt &lt;M6&gt;</td>" in tab.text()


def test_a_typed_form_that_cannot_be_is_told_and_stays_in_the_box(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    typed = '/json {"type": "array", "uniqueItems": true}\nparts'
    tab.say(typed)
    assert "uniqueItems (#)" in tab.text()
    assert tab.at.chat_input(key="chat_send").value == typed
    assert services.conversations.messages(tab.conversation) == [] and form_of(services, tab) is None


def test_the_coach_judges_the_question_and_keeps_the_form_above_it(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    for text, spoken in (("/table write a story", False), ("/table title\nwrite a story", True)):
        services.repository.set_setting(DRAFT_SETTING + tab.conversation, text)
        tab.run()
        assert any(button.key == "coach_accept" for button in tab.at.button) is spoken, text
    tab.at.text_area(key="coach_rewrite").set_value("Write a story of 300 words for children.").run()
    tab.click("coach_accept")
    whole = "/table title\nWrite a story of 300 words for children."
    assert tab.at.chat_input(key="chat_send").value == whole
