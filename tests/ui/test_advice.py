"""The task picker, the coach's line, the length line, the first screen and the handbook, on the page."""

from collections.abc import Callable
from html import unescape

import pytest
from streamlit.util import calc_hash
from tests.ui.conftest import Browser, finish

from twokeys.core.advice.tasks import TASKS
from twokeys.engines.scripted import Say
from twokeys.handbook import load
from twokeys.i18n import LANGUAGES, translate
from twokeys.services import Services
from twokeys.ui import drafts
from twokeys.ui.drafts import DRAFT_SETTING
from twokeys.ui.format import count_text

Open = Callable[..., Browser]


def sampling(services: Services, tab: Browser) -> tuple[float, int]:
    result = services.repository.get_conversation(tab.conversation).settings.sampling
    return result.temperature, result.max_new_tokens


def type_draft(tab: Browser, text: str) -> None:
    """What the reader in the browser would tell after a pause in typing."""
    tab.services.repository.set_setting(DRAFT_SETTING + tab.conversation, text)
    tab.at.run()
    tab.check()


def choose(tab: Browser, name: str) -> None:
    tab.at.button_group(key="task_choice").set_value(name).run()
    tab.check()


def test_a_task_sets_both_keys_and_says_why(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    choose(tab, "code")
    assert sampling(services, tab) == (0.3, 1024)
    assert tab.at.slider(key="key_temperature").value == pytest.approx(0.3)
    assert translate("advice.task.code.why", "en") in tab.text()


def test_keys_and_reasons_of_all_tasks_are_there_before_one_is_chosen(open_tab: Open) -> None:
    tab = open_tab()
    shown = tab.at.button_group(key="task_choice").options
    for task in TASKS:
        assert any(f"{task.temperature:g} · {task.max_new_tokens}" in str(option) for option in shown)
        assert translate(f"advice.task.{task.name}.why", "en") in unescape(tab.text())


def test_a_high_length_is_said_to_be_no_better(open_tab: Open) -> None:
    tab = open_tab()
    assert translate("sidebar.length.high", "en") not in tab.text()
    tab.at.slider(key="key_max_new_tokens").set_value(3584).run()
    assert translate("sidebar.length.high", "en") in tab.text()


def test_the_length_in_words_is_by_the_tokenizer_of_the_model(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    guessed = translate("sidebar.length.note", "en", characters="", words=count_text(1500))
    assert guessed in tab.text()
    tab.say("Hello")
    finish(services, tab.conversation)
    measured = services.advice.ratio().words_per_token_en
    tab.at.run()
    words = count_text(round(2048 * measured, -2))
    assert translate("sidebar.length.note", "en", characters="", words=words) in tab.text()


def test_a_slider_moved_by_hand_stays_and_the_picker_says_so(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.45).run()
    choose(tab, "code")
    assert sampling(services, tab) == (0.45, 1024)
    tab.click("task_unpin")
    assert sampling(services, tab) == (0.3, 1024)


def test_automatic_shows_its_choice_and_confidence(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.toggle(key="task_automatic").set_value(True).run()
    tab.say("Write a haiku about rain")
    finish(services, tab.conversation)
    tab.at.run()
    assert sampling(services, tab) == (0.9, 3072)
    title = translate("advice.task.story.title", "en")
    assert f"Automatic: {title}" in tab.text()
    assert "% sure" in tab.text()


def test_automatic_leaves_a_preset_chosen_by_hand_alone(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.button_group(key="key_combination").set_value("precise").run()
    tab.at.toggle(key="task_automatic").set_value(True).run()
    tab.say("Write a haiku about rain")
    finish(services, tab.conversation)
    assert sampling(services, tab) == (0.3, 1024)


def test_automatic_says_when_it_is_unsure(open_tab: Open, services: Services) -> None:
    services.advice.automatic = True
    tab = open_tab()
    tab.say("hmm, go on")
    finish(services, tab.conversation)
    tab.at.run()
    assert translate("advice.auto.unsure", "en") in tab.text()
    assert sampling(services, tab) == (0.7, 2048)


def test_a_vague_draft_gets_one_line_and_a_rewrite_that_goes_into_the_box(open_tab: Open) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    type_draft(tab, "write a story")
    assert "At temperature 0.9" in tab.text()
    assert tab.at.text_area(key="coach_rewrite").value.startswith("write a story")
    tab.at.text_area(key="coach_rewrite").set_value("Write a story of 300 words for children.").run()
    tab.click("coach_accept")
    assert tab.at.chat_input(key="chat_send").value == "Write a story of 300 words for children."
    assert "At temperature 0.9" not in tab.text()


def test_an_ignored_line_does_not_come_back_in_this_conversation(open_tab: Open) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    type_draft(tab, "write a story")
    tab.click("coach_ignore")
    type_draft(tab, "write a poem")
    assert "At temperature 0.9" not in tab.text()
    again = open_tab(c=tab.conversation)
    type_draft(again, "write a poem")
    assert "At temperature 0.9" not in again.text()


def test_the_model_rewrites_when_asked(make_services: Callable[..., Services]) -> None:
    services = make_services((Say("Write a story of 300 words about a lighthouse."),))
    tab = Browser(services, plain="1").run()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    type_draft(tab, "write a story")
    tab.click("coach_by_model")
    tab.at.run()
    (box,) = [area for area in tab.at.text_area if str(area.key).startswith("coach_rewrite")]
    assert str(box.value).endswith("about a lighthouse.")


def test_a_temperature_that_does_not_fit_is_set_by_one_press(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.2).run()
    type_draft(tab, "Write a haiku about rain")
    tab.click("coach_set")
    tab.at.run()
    assert sampling(services, tab)[0] == 0.9


def test_what_was_set_by_pressing_advice_is_not_undone_by_automatic(
    open_tab: Open, services: Services
) -> None:
    services.advice.automatic = True
    tab = open_tab()
    type_draft(tab, "Write a haiku about rain in 4000 words")
    tab.click("need_set")
    tab.at.run()
    set_by_press = sampling(services, tab)[1]
    tab.say("Write a haiku about rain")
    finish(services, tab.conversation)
    assert sampling(services, tab) == (0.9, set_by_press)


def test_the_picker_shows_the_length_it_set(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    type_draft(tab, "Write 30 slogans")
    choose(tab, "naming")
    tokens = sampling(services, tab)[1]
    assert tokens == 2176
    assert translate("advice.picker.keys", "en", temperature="1", tokens=tokens) in tab.text()


def test_the_coach_can_be_switched_off(open_tab: Open, services: Services) -> None:
    settings = open_tab("settings")
    settings.at.toggle(key="settings_coach").set_value(False).run()
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    type_draft(tab, "write a story")
    assert "At temperature 0.9" not in tab.text()


def test_a_length_that_is_asked_for_is_offered(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    type_draft(tab, "写一篇 4000 字的故事，给孩子看，语气温暖")
    assert "4000" in tab.text()
    tab.click("need_set")
    tab.at.run()
    assert sampling(services, tab)[1] > 2600


def test_a_shorter_need_says_how_many_of_what_and_can_be_set_too(open_tab: Open, services: Services) -> None:
    tab = open_tab(language="zh")
    tab.at.slider(key="key_max_new_tokens").set_value(3072).run()
    type_draft(tab, "写三条朋友圈文案，每条 50 字，给同事看，语气轻松")
    assert "你要 3 份，每份 50 字" in tab.text()
    assert "150" not in tab.text()
    tab.click("need_set")
    tab.at.run()
    assert sampling(services, tab)[1] == 512


def test_write_in_sections_takes_the_message_along(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    text = "写一份 20000 字的白皮书，讲中小企业怎样用好本地大模型"
    type_draft(tab, text)
    tab.click("need_writer")
    assert tab.at.text_input(key="writing_topic").value == text
    assert tab.at.number_input(key="writing_length_chars").value == 20_000
    assert tab.at.selectbox(key="writing_kind").value == "white_paper"
    assert tab.at.segmented_control(key="writing_language").value == "zh"
    assert translate("writing.form.from_chat", "en") in tab.text()
    tab.click("writing_create")
    [row] = services.writer.projects()
    assert services.writer.view(row.id).project.topic == text
    tab.at._page_hash = calc_hash("")
    tab.run()
    assert not tab.at.chat_input(key="chat_send").value


def test_a_well_formed_draft_is_left_alone(open_tab: Open) -> None:
    tab = open_tab()
    type_draft(tab, "Explain how vaccines work to a ten-year-old, with one analogy.")
    assert not [button for button in tab.at.button if button.key == "coach_ignore"]


def test_a_draft_is_still_in_the_box_after_another_page(open_tab: Open) -> None:
    tab = open_tab()
    text = "Explain rain to a child. " * 300
    type_draft(tab, text)
    for page in ("handbook", ""):
        tab.at._page_hash = calc_hash(page)
        tab.run()
        assert (translate("handbook.title", "en") in tab.text()) == bool(page)
    assert tab.at.chat_input(key="chat_send").value == text


def test_a_sent_message_does_not_come_back_into_the_box(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    type_draft(tab, "Explain rain")
    tab.say("Explain rain")
    finish(services, tab.conversation)
    for page in ("handbook", ""):
        tab.at._page_hash = calc_hash(page)
        tab.run()
    assert not tab.at.chat_input(key="chat_send").value


def test_sending_clears_the_lines_about_the_draft(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    type_draft(tab, "write a story")
    tab.say("write a story")
    finish(services, tab.conversation)
    assert not [button for button in tab.at.button if button.key == "coach_ignore"]


# --- first screen and handbook -----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chapter_of_the_handbook_can_be_read(open_tab: Open, language: str) -> None:
    for chapter in load(language):
        tab = open_tab("handbook", language, chapter=chapter.name)
        assert chapter.title in tab.text()


def test_claims_show_their_status(open_tab: Open) -> None:
    tab = open_tab("handbook", chapter="6-memory")
    assert translate("lab.claim.C6.text", "en")[:20] in tab.text()
    assert translate("handbook.status.claimed", "en") in tab.text()


def test_an_example_opens_in_a_chat_with_its_keys_and_is_not_sent(open_tab: Open, services: Services) -> None:
    tab = open_tab("handbook", chapter="2-what-it-is-not")
    [button] = [entry for entry in tab.at.button if str(entry.key).startswith("try_")]
    button.click().run()
    tab.check()
    result = [c for c in services.repository.list_conversations() if c.settings.sampling.temperature == 0.2]
    assert [c.settings.sampling.max_new_tokens for c in result] == [512]
    assert result[0].head_id is None


def test_a_task_of_the_first_screen_sets_its_keys_and_says_why(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    for name, keys in (("precise", (0.3, 1024)), ("creative", (0.9, 3072)), ("professional", (0.7, 2048))):
        tab.click(f"first_task_{name}")
        sampling = services.repository.get_conversation(tab.conversation).settings.sampling
        assert (sampling.temperature, sampling.max_new_tokens) == keys
        assert translate(f"presets.{name}.why", "en") in tab.text()
        assert tab.at.button(key=f"example_{name}_1").label == translate(f"chat.example.{name}.1", "en")


def test_an_example_fills_the_box_below_what_was_typed_and_is_not_sent(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    example, other = (translate(f"chat.example.professional.{number}", "en") for number in (1, 2))
    tab.click("example_professional_1")
    assert tab.at.chat_input(key="chat_send").value == example
    tab.click("example_professional_2")
    assert tab.at.chat_input(key="chat_send").value == other
    drafts.see(tab.conversation, "My own words")
    tab.click("example_professional_1")
    assert tab.at.chat_input(key="chat_send").value == f"My own words\n\n{example}"
    assert services.repository.get_conversation(tab.conversation).head_id is None
