"""The compare page driven by AppTest: set up, columns, what differs, the lens, blind votes, the shelf."""

from collections.abc import Callable, Sequence

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.core.advice.tasks import TASKS
from twokeys.engines.scripted import Say, Stall, Step
from twokeys.i18n import translate
from twokeys.services import Services
from twokeys.types import GenerationRequest, Settings

Open = Callable[..., Browser]
Make = Callable[..., Services]
QUESTION = "Explain gradients"


def by_temperature(request: GenerationRequest) -> Sequence[Step]:
    return [Say(f"The answer at {request.sampling.temperature:g} is warm.")]


@pytest.fixture
def services(make_services: Make) -> Services:
    """Answers that tell the columns apart."""
    return make_services(by_temperature)


def text(key: str, language: str = "en", **values: object) -> str:
    return translate(f"compare.{key}", language, **values)


def start(tab: Browser, question: str = QUESTION) -> str:
    """Start a comparison with what is set up, and return its id."""
    tab.at.text_area(key="compare_question").set_value(question).run()
    tab.click("compare_start")
    return opened(tab)


def opened(tab: Browser) -> str:
    """Return the comparison of the address."""
    param = tab.at.query_params["cmp"]
    return param if isinstance(param, str) else param[0]


def finished(tab: Browser, services: Services) -> str:
    comparison_id = start(tab)
    finish(services, services.compare.stored.get(comparison_id).conversation_id)
    tab.run()
    return comparison_id


def temperatures(services: Services, comparison_id: str) -> list[float]:
    return [column.sampling.temperature for column in services.compare.stored.get(comparison_id).columns]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("view", ["", "stored", "votes"])
def test_the_page_is_drawn_in_both_languages(open_tab: Open, language: str, view: str) -> None:
    tab = open_tab("compare", language, **({"view": view} if view else {}))
    assert text("title", language) in tab.text()


def test_three_columns_stand_ready_at_the_ordered_temperatures(open_tab: Open) -> None:
    tab = open_tab("compare")
    result = [tab.at.slider(key=f"column_temperature_{number}_0").value for number in range(3)]
    assert result == [0.3, 0.7, 1.0]


def test_columns_are_answered_and_the_address_brings_them_back(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    comparison_id = finished(tab, services)
    for temperature in ("0.3", "0.7", "1"):
        assert f"The answer at {temperature} is warm." in tab.text()
    again = open_tab("compare", cmp=comparison_id)
    assert "The answer at 0.7 is warm." in again.text()
    assert QUESTION in again.text()


def test_a_column_can_be_changed_added_and_removed(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    tab.at.slider(key="column_temperature_0_0").set_value(0.1).run()
    tab.at.slider(key="column_top_k_0_0").set_value(5).run()
    tab.click("compare_add_column")
    tab.click("column_remove_1")
    comparison_id = finished(tab, services)
    columns = services.compare.stored.get(comparison_id).columns
    assert [column.sampling.temperature for column in columns] == [0.1, 1.0, 1.2]
    assert [column.sampling.top_k for column in columns] == [5, 20, 20]


def test_between_two_and_eight_columns_can_be_set_up(open_tab: Open) -> None:
    tab = open_tab("compare")
    for _ in range(5):
        tab.click("compare_add_column")
    assert tab.at.button(key="compare_add_column").disabled
    for number in range(2, 8):
        tab.click(f"column_remove_{number}")
    assert [button for button in tab.at.button if str(button.key).startswith("column_remove_")] == []


def test_a_preset_in_a_column_brings_all_its_parameters(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    tab.at.selectbox(key="column_preset_0_0").set_value("creative").run()
    tab.check()
    assert tab.at.slider(key="column_temperature_0_1").value == 0.9
    assert tab.at.slider(key="column_max_new_tokens_0_1").value == 3072
    column = services.compare.stored.get(finished(tab, services)).columns[0]
    assert (column.preset, column.sampling.max_new_tokens) == ("creative", 3072)


def test_changing_a_presets_column_by_hand_makes_it_ones_own(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    tab.at.selectbox(key="column_preset_0_0").set_value("creative").run()
    tab.at.slider(key="column_temperature_0_1").set_value(0.8).run()
    assert services.compare.stored.get(finished(tab, services)).columns[0].preset is None


def test_columns_share_one_seed_unless_switched_off(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    tab.at.number_input(key="compare_seed").set_value(11).run()
    first = services.compare.stored.get(finished(tab, services))
    assert {column.sampling.seed for column in first.columns} == {11}
    tab = open_tab("compare")
    tab.at.toggle(key="compare_same_seed").set_value(False).run()
    second = services.compare.stored.get(finished(tab, services))
    assert len({column.answer.provenance.seed for column in second.columns}) == 3


def test_an_empty_question_is_refused_in_words(open_tab: Open) -> None:
    tab = open_tab("compare")
    tab.click("compare_start")
    assert "cmp" not in tab.at.query_params
    assert translate("errors.empty_message.text", "en") in tab.text()


def test_compare_on_a_message_brings_its_question_and_what_came_before(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    for question in ("First question", "Second question"):
        tab.say(question)
        finish(services, tab.conversation)
        tab.run()
    answer = services.repository.branch(tab.conversation)[-1]
    tab.click(f"compare_{answer.id}")
    assert "Second question" in tab.text()
    assert text("from.history", count=2) in tab.text()
    tab.click("compare_start")
    comparison = services.compare.stored.get(opened(tab))
    assert comparison.history[0].content == "First question"
    finish(services, comparison.conversation_id)
    tab.run()
    tab.click("column_keep_1")
    versions = services.repository.siblings(answer.id)
    assert [version.content for version in versions][-1] == "The answer at 0.7 is warm."


def test_compare_on_a_question_brings_that_question_with_what_came_before(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    for question in ("First question", "Second question", "Third question"):
        tab.say(question)
        finish(services, tab.conversation)
        tab.run()
    second = next(m for m in services.repository.branch(tab.conversation) if m.content == "Second question")
    tab.click(f"compare_{second.id}")
    tab.click("compare_start")
    comparison = services.compare.stored.get(opened(tab))
    assert comparison.question.content == "Second question"
    assert [m.content for m in comparison.history if m.role == "user"] == ["First question"]
    services.compare.stop(comparison.id)


def test_one_column_and_all_of_them_can_be_stopped_and_one_goes_on(make_services: Make) -> None:
    services = make_services((Say("Once upon a time "), Stall(30)))
    tab = Browser(services, "compare", plain="1").run()
    comparison_id = start(tab)
    while not services.compare.stored.get(comparison_id).columns[0].answer.content:
        pass
    tab.run()
    tab.click("column_stop_0")
    assert services.compare.stored.get(comparison_id).columns[0].answer.finish_reason == "cancelled"
    tab.click("compare_stop_all")
    finish(services, services.compare.stored.get(comparison_id).conversation_id)
    tab.run()
    tab.click("column_continue_0")
    assert services.compare.stored.get(comparison_id).columns[0].active
    services.compare.stop(comparison_id)


def test_what_differs_is_shown_by_words_and_by_characters(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    finished(tab, services)
    assert '<del class="tk-del">' in tab.text()
    assert '<ins class="tk-ins">' in tab.text()
    by_words = tab.text()
    tab.at.button_group(key="differ_unit").set_value("char").run()
    tab.check()
    assert tab.text() != by_words
    tab.at.selectbox(key="differ_second").set_value(0).run()
    assert text("differ.same_column") in tab.text()


def test_every_figure_has_a_row_with_its_plain_words(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    finished(tab, services)
    for name in ("words", "tokens", "finish_reason", "distinct_2", "rep_4", "mean_entropy", "mean_prob"):
        assert translate(f"comparison.figure.{name}.about", "en") in tab.text()


def test_the_lens_opens_on_a_column(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    finished(tab, services)
    tab.click("column_heat_2")
    assert tab.at.button_group(key="lens_column").value == 2


def test_a_blind_vote_hides_everything_that_tells_and_counts_after_it(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab("compare")
    tab.at.toggle(key="compare_blind").set_value(True).run()
    tab.at.selectbox(key="compare_task").set_value("explain").run()
    comparison_id = finished(tab, services)
    assert text("blind.title") in tab.text()
    assert "temperature 0.3" not in tab.text()
    assert text("differ.title") not in [look.label for look in tab.at.tabs]
    assert tab.at.button(key="vote_send").disabled
    tab.at.button_group(key=f"vote_best_{comparison_id}").set_value([1]).run()
    tab.click("vote_send")
    tab.click("vote_reveal")
    assert "temperature 0.7" in tab.text()
    assert text("differ.title") in [look.label for look in tab.at.tabs]
    [vote] = services.compare.voting.votes(comparison_id)
    assert (vote.data["best"], vote.data["blind"], vote.data["task_type"]) == ([1], True, "explain")
    tab.click("vote_table")
    assert text("votes.count", votes=1, ties=0, models="scripted") in tab.text()


def test_the_kinds_of_task_are_the_pickers_and_the_conversations_task_is_chosen(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.say("Hello?")
    finish(services, tab.conversation)
    services.advice.choose(tab.conversation, "naming")
    compare = open_tab("compare", c=tab.conversation)
    box = compare.at.selectbox(key="compare_task")
    assert box.value == "naming"
    assert box.options == [translate(f"advice.task.{task.name}.title", "en") for task in TASKS]
    services.advice.choose(tab.conversation, "story")
    compare.run()
    assert compare.at.selectbox(key="compare_task").value == "story"
    compare.at.selectbox(key="compare_task").set_value("exam").run()
    services.advice.choose(tab.conversation, "naming")
    compare.run()
    assert services.compare.stored.get(finished(compare, services)).task_type == "exam"


def test_a_tie_between_a_pair_can_be_voted(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    comparison_id = finished(tab, services)
    tab.click("compare_hide")
    blind = services.compare.stored.get(comparison_id).blind
    assert blind is not None
    pair = blind.order[:2]
    tab.at.selectbox(key=f"vote_among_{comparison_id}").set_value(pair).run()
    tab.at.button_group(key=f"vote_best_{comparison_id}").set_value(list(pair)).run()
    tab.click("vote_send")
    [vote] = services.compare.voting.votes(comparison_id)
    assert (sorted(vote.data["best"]), len(vote.data["columns"])) == (sorted(pair), 2)


def test_the_table_of_votes_says_what_is_missing_and_saves_the_leader(
    open_tab: Open, services: Services
) -> None:
    for _ in range(4):
        comparison = services.compare.start(QUESTION, services.compare.default_columns(), blind=True)
        finish(services, comparison.conversation_id)
        services.compare.voting.vote(comparison.id, [1], task_type="explain")
    tab = open_tab("compare", view="votes")
    assert text("votes.count", votes=4, ties=0, models="scripted") in tab.text()
    assert "tk-whisker" in tab.text()
    assert text("votes.position_few") in tab.text() or text("votes.position_not") in tab.text()
    tab.at.text_input(key="votes_save_name").set_value("my favourite")
    tab.click("votes_save_send")
    [saved] = services.repository.list_presets()
    assert (saved.name, saved.changes["temperature"]) == ("my favourite", 0.7)


def test_a_stored_comparison_is_reopened_deleted_and_brought_back(open_tab: Open, services: Services) -> None:
    comparison_id = finished(open_tab("compare"), services)
    tab = open_tab("compare", view="stored")
    tab.click(f"list_open_cmp_{comparison_id}")
    assert "The answer at 1 is warm." in tab.text()
    tab.click("compare_delete")
    assert list(services.compare.stored.list()) == []
    tab.click("undo")
    assert [row.id for row in services.compare.stored.list()] == [comparison_id]
    assert "The answer at 1 is warm." in tab.text()


def test_a_stored_comparison_is_found_by_its_words_and_renamed(open_tab: Open, services: Services) -> None:
    gradients = finished(open_tab("compare"), services)
    other = services.compare.start("What is a mutex?", services.compare.default_columns())
    finish(services, other.conversation_id)
    tab = open_tab("compare", view="stored")
    for query, result in (("MUTEX", [other.id]), ("gradients warm", [gradients]), ("semaphore", [])):
        tab.at.text_input(key="compare_search").set_value(query).run()
        tab.check()
        keys = [str(button.key) for button in tab.at.button]
        assert [entry for entry in (gradients, other.id) if f"list_open_cmp_{entry}" in keys] == result
    assert text("shelf.nothing") in tab.text()
    tab.at.text_input(key="compare_search").set_value("").run()
    tab.at.text_input(key=f"list_title_cmp_{other.id}").set_value("  Locks  ").run()
    assert {row.id: row.title for row in services.compare.stored.list()}[other.id] == "Locks"
    services.compare.stored.rename(other.id, "   ")
    assert services.compare.stored.get(other.id).title == "Locks"


def test_a_comparison_that_is_gone_is_said_so(open_tab: Open) -> None:
    assert text("missing") in open_tab("compare", cmp="nothing-of-the-kind").text()


def test_the_columns_of_a_comparison_can_be_set_up_again(open_tab: Open, services: Services) -> None:
    tab = open_tab("compare")
    tab.at.slider(key="column_temperature_0_0").set_value(0.15).run()
    first = finished(tab, services)
    tab.click("compare_change")
    assert tab.at.text_area(key="compare_question").value == QUESTION
    tab.click("compare_start")
    second = opened(tab)
    assert second != first
    assert temperatures(services, second) == temperatures(services, first)


def test_token_probabilities_are_kept_when_a_conversation_wants_them(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.at.toggle(key="key_keep_probs").set_value(True).run()
    tab.say("Hello?")
    finish(services, tab.conversation)
    answer = services.repository.branch(tab.conversation)[-1]
    assert len(services.repository.get_probs(answer.id)) > 3
    tab.run()
    tab.click(f"details_{answer.id}")
    tab.at.toggle(key="details_lens").set_value(True).run()
    tab.check()


def test_the_page_without_a_model_cannot_start(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    services = make_services(model=False)
    monkeypatch.setattr(type(services.models), "smallest_reachable", lambda self: None)
    tab = Browser(services, "compare", plain="1").run()
    assert tab.at.button(key="compare_start").disabled
    assert text("no_model") in tab.text()


def test_titles_and_names_with_markdown_are_shown_as_they_were_written(
    open_tab: Open, services: Services
) -> None:
    chat = services.conversations.new()
    services.jobs.wait(services.answers.send(chat.id, "hello").job.id, 20)
    picture = "![](https://elsewhere.test/a.png)"
    services.conversations.set_title(chat.id, f"Cats {picture}")
    services.presets.save("bold **name**", Settings())
    tab = open_tab("compare", c=chat.id)
    label = tab.at.toggle(key="compare_history").label
    assert picture not in label and "Cats" in label
    tab.at.text_input(key="column_label_0_0").set_value(picture).run()
    comparison_id = finished(tab, services)
    lens = open_tab("compare", cmp=comparison_id, view="lens")
    options = [option.content for option in lens.at.button_group(key="lens_column").proto.options]
    assert options and not any(picture in option for option in options)
