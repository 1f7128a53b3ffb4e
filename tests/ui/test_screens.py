"""Every screen in both languages, the two keys, presets, the plain transcript, undo, not fitting."""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest
from tests.ui.conftest import ANSWER, Browser, finish

from twokeys.engines.scripted import Say, ScriptedEngine, Stall
from twokeys.i18n import translate
from twokeys.services import Services
from twokeys.types import EngineEvent, Finished, GenerationRequest, Message
from twokeys.ui.drafts import DRAFT_SETTING
from twokeys.ui.model_text import markup

Open = Callable[..., Browser]
Make = Callable[..., Services]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("page", ["", "conversations", "models", "memory", "settings"])
def test_every_screen_is_drawn_in_both_languages(open_tab: Open, page: str, language: str) -> None:
    tab = open_tab(page, language)
    assert translate("sidebar.recent.all", language) in tab.text()
    keys = "key_temperature" in {slider.key for slider in tab.at.slider}
    assert keys is (page == ""), "the keys stand only where they act"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("page", ["", "models"])
def test_without_a_model_the_page_is_there_and_says_what_is_on_its_way(
    make_services: Make, page: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(model=False)
    monkeypatch.setattr(type(services.models), "smallest_reachable", lambda self: None)
    tab = Browser(services, page, language, plain="1").run()
    said = ("looking", "not_begun")  # before and after it is known that no source answers
    assert any(translate(f"modelpage.first.{name}", language) in tab.text() for name in said)
    assert translate("sidebar.model.none", language) in tab.text()


def test_a_message_before_the_model_waits_and_can_be_taken_back(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(model=False)
    monkeypatch.setattr(type(services.models), "smallest_reachable", lambda self: None)
    tab = Browser(services, plain="1").run()
    tab.say("Hello?")
    assert translate("chat.waiting.note", "en") in tab.text()
    tab.click("waiting_take_back")
    assert tab.at.chat_input(key="chat_send").value == "Hello?"


def test_the_idle_time_out_is_set_on_the_settings_page_and_kept(open_tab: Open, services: Services) -> None:
    page = open_tab("settings")
    assert page.at.button_group(key="settings_idle").value == 0
    page.at.button_group(key="settings_idle").set_value(900.0).run()
    page.check()
    assert services.memory.idle_timeout_s() == 900
    again = open_tab("settings")
    assert again.at.button_group(key="settings_idle").value == 900


def test_the_settings_page_says_what_is_kept_of_deleted_things_and_erases_it_at_once(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.say("Tell me about zirconium")
    finish(services, tab.conversation)
    services.repository.delete_conversation(tab.conversation)
    page = open_tab("settings")
    assert page.at.button_group(key="settings_bin_days").value == 30
    assert translate("settings.bin.conversations", "en", count=1) in page.text()
    page.at.button_group(key="settings_bin_days").set_value(7).run()
    page.check()
    assert services.repository.bin.days == 7
    page.click("settings_bin_empty")
    assert translate("settings.bin.nothing", "en") in page.text()
    home = services.config.home
    assert not [path for path in home.rglob("*") if path.is_file() and b"zirconium" in path.read_bytes()]


def test_the_address_names_the_conversation(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    assert services.repository.get_conversation(tab.conversation).head_id is None


def test_an_unknown_conversation_opens_a_new_one_and_says_so(open_tab: Open) -> None:
    tab = open_tab(c="nothing-of-the-kind")
    assert tab.conversation != "nothing-of-the-kind"
    assert translate("ui.conversation.missing", "en") in tab.text()


def test_moving_the_sliders_writes_the_settings_of_the_conversation(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.45).run()
    tab.at.slider(key="key_max_new_tokens").set_value(1536).run()
    tab.check()
    sampling = services.repository.get_conversation(tab.conversation).settings.sampling
    assert (sampling.temperature, sampling.max_new_tokens) == (0.45, 1536)


def test_a_reload_shows_the_stored_settings(open_tab: Open) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.2).run()
    again = open_tab(c=tab.conversation)
    assert again.at.slider(key="key_temperature").value == pytest.approx(0.2)


def test_the_sliders_have_the_ranges_and_defaults_that_were_ordered(open_tab: Open) -> None:
    tab = open_tab()
    temperature, length = tab.at.slider(key="key_temperature"), tab.at.slider(key="key_max_new_tokens")
    assert (temperature.min, temperature.max, temperature.step, temperature.value) == (0.1, 1.0, 0.05, 0.7)
    assert (length.min, length.max, length.step, length.value) == (512, 4096, 128, 2048)


def test_the_wide_range_goes_to_two(open_tab: Open) -> None:
    tab = open_tab()
    tab.at.toggle(key="key_advanced").set_value(True).run()
    tab.check()
    slider = tab.at.slider(key="key_temperature")
    assert (slider.min, slider.max) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("name", "temperature", "tokens", "clears"),
    [("precise", 0.3, 1024, False), ("professional", 0.7, 2048, False), ("creative", 0.9, 3072, True)],
)
def test_a_golden_combination_sets_both_keys(
    open_tab: Open, services: Services, name: str, temperature: float, tokens: int, clears: bool
) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.5).run()
    tab.at.button_group(key="key_combination").set_value(name).run()
    tab.check()
    settings = services.repository.get_conversation(tab.conversation).settings
    assert settings.sampling.temperature == temperature
    assert settings.sampling.max_new_tokens == tokens
    assert settings.clear_after_answer is clears
    assert tab.at.slider(key="key_temperature").value == pytest.approx(temperature)


def test_a_scenario_sets_only_the_length(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.button_group(key="key_scenario").set_value("report").run()
    tab.check()
    sampling = services.repository.get_conversation(tab.conversation).settings.sampling
    assert (sampling.temperature, sampling.max_new_tokens) == (0.7, 3584)


def test_an_advanced_parameter_can_be_changed_and_reset(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.slider(key="key_min_p").set_value(0.1).run()
    assert services.repository.get_conversation(tab.conversation).settings.sampling.min_p == 0.1
    tab.click("reset_min_p")
    assert services.repository.get_conversation(tab.conversation).settings.sampling.min_p == 0.0


def test_seed_stop_texts_and_order_are_kept(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.number_input(key="key_seed").set_value(7).run()
    tab.at.text_area(key="key_stop").set_value("END\n###").run()
    tab.at.button_group(key="key_order").set_value("transformers").run()
    tab.check()
    sampling = services.repository.get_conversation(tab.conversation).settings.sampling
    assert (sampling.seed, sampling.stop, sampling.order) == (7, ("END", "###"), "transformers")


def test_a_preset_of_ones_own_can_be_saved_used_renamed_and_deleted(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.25).run()
    tab.at.text_input(key="preset_name").set_value("weekly")
    tab.click("preset_save_button")
    tab.at.slider(key="key_temperature").set_value(0.9).run()
    tab.click("preset_use_weekly")
    assert services.repository.get_conversation(tab.conversation).settings.sampling.temperature == 0.25
    tab.click("preset_edit_weekly")
    tab.at.text_input(key="preset_rename_weekly").set_value("Friday").run()
    tab.click("preset_rename_button_weekly")
    assert [preset.name for preset in services.repository.list_presets()] == ["Friday"]
    tab.click("preset_edit_Friday")
    tab.click("preset_delete_Friday")
    assert services.repository.list_presets() == []
    tab.click("undo")
    assert [preset.name for preset in services.repository.list_presets()] == ["Friday"]


def test_a_question_is_answered_and_its_figures_are_under_it(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.say("What is recursion?")
    finish(services, tab.conversation)
    tab.run()
    assert "What is recursion?" in tab.text()
    assert markup(ANSWER) in tab.text()
    assert translate("chat.finish.stop", "en") in tab.text()


def test_the_plain_page_draws_a_running_answer_and_stops_it(make_services: Make) -> None:
    services = make_services((Say("Once upon a time "), Stall(30)))
    tab = Browser(services, plain="1").run()
    tab.say("Tell me a story")
    job = services.jobs.views(tab.conversation)[0]
    while not (view := services.jobs.view(job.id)) or not view.text:
        pass
    tab.run()
    assert "Once upon a time" in tab.text()
    tab.click(f"stop_{job.message_id}")
    finish(services, tab.conversation)
    tab.run()
    assert translate("chat.cut.cancelled", "en") in tab.text()


def test_a_second_message_is_queued_visibly(make_services: Make) -> None:
    services = make_services((Say("Slow "), Stall(30)))
    tab = Browser(services, plain="1").run()
    tab.say("First")
    tab.say("Second")
    assert translate("chat.phase.queued", "en") in tab.text()
    services.answers.stop(tab.conversation)


def test_switching_the_language_keeps_everything(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.at.slider(key="key_temperature").set_value(0.3).run()
    tab.at.button_group(key="language_switch").set_value("zh").run()
    tab.check()
    assert translate("sidebar.length.label", "zh") in tab.text()
    assert tab.at.slider(key="key_temperature").value == pytest.approx(0.3)
    fresh = Browser(services, plain="1")
    del fresh.at.session_state["language"]
    assert translate("sidebar.length.label", "zh") in fresh.run().text()


def _answered(tab: Browser, services: Services, question: str = "One") -> list[Message]:
    tab.say(question)
    finish(services, tab.conversation)
    tab.run()
    return services.repository.branch(tab.conversation)


def test_regenerating_keeps_the_earlier_version(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    answer = _answered(tab, services)[-1]
    tab.click(f"regenerate_{answer.id}")
    finish(services, tab.conversation)
    tab.run()
    newest = services.repository.branch(tab.conversation)[-1]
    assert (newest.version, newest.versions) == (2, 2)
    tab.click(f"previous_{newest.id}")
    assert services.repository.branch(tab.conversation)[-1].id == answer.id


def test_editing_a_question_branches(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    question = _answered(tab, services, "Old question")[0]
    tab.at.text_area(key=f"edit_text_{question.id}").set_value("New question").run()
    tab.click(f"edit_send_{question.id}")
    finish(services, tab.conversation)
    tab.run()
    first = services.repository.branch(tab.conversation)[0]
    assert (first.content, first.versions) == ("New question", 2)


def test_a_deleted_message_can_be_brought_back(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    answer = _answered(tab, services)[-1]
    tab.click(f"delete_{answer.id}")
    assert len(services.repository.branch(tab.conversation)) == 1
    tab.click("undo")
    assert len(services.repository.branch(tab.conversation)) == 2


def test_the_provenance_dialog_shows_the_parameters_and_runs_again(
    open_tab: Open, services: Services
) -> None:
    tab = open_tab()
    answer = _answered(tab, services)[-1]
    tab.click(f"details_{answer.id}")
    assert translate("chat.details.model", "en") in tab.text()
    tab.click("details_replay")
    finish(services, tab.conversation)
    assert services.repository.branch(tab.conversation)[-1].versions == 2


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_parameter_that_a_server_did_not_use_is_shown_as_not_used_instead_of_by_its_value(
    open_tab: Open, services: Services, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    generate = ScriptedEngine.generate

    async def forgetful(
        self: ScriptedEngine, request: GenerationRequest
    ) -> AsyncGenerator[EngineEvent, None]:
        async for event in generate(self, request):
            yield replace(event, unsupported=("top_k",)) if isinstance(event, Finished) else event

    monkeypatch.setattr(ScriptedEngine, "generate", forgetful)
    tab = open_tab(language=language)
    answer = _answered(tab, services)[-1]
    set_to = answer.provenance.sampling_set["top_k"]
    tab.click(f"details_{answer.id}")
    shown = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", tab.text()))
    expected = translate("chat.details.not_used", language, asked=set_to)
    assert shown[translate("sidebar.parameter.top_k.label", language)] == expected
    others = translate("sidebar.parameter.temperature.label", language)
    assert translate("chat.details.not_used", language, asked="")[:6] not in shown[others]


def test_deleting_a_conversation_can_be_undone(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services, "Keep me")
    gone = tab.conversation
    tab.at.menu_button(key=f"more_{gone}").click("delete").run()
    tab.check()
    assert services.repository.get_conversation(gone).deleted_at is not None
    tab.click("undo")
    assert services.repository.get_conversation(gone).deleted_at is None


def test_renaming_and_pinning_a_conversation(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services)
    tab.at.menu_button(key=f"more_{tab.conversation}").click("rename").run()
    tab.at.text_input(key="rename_title").set_value("Sorting")
    tab.click("rename_save")
    tab.at.menu_button(key=f"more_{tab.conversation}").click("pin").run()
    tab.check()
    conversation = services.repository.get_conversation(tab.conversation)
    assert (conversation.title, conversation.pinned) == ("Sorting", True)


def test_the_sidebar_finds_a_two_character_chinese_word(open_tab: Open, services: Services) -> None:
    tab = open_tab(language="zh")
    _answered(tab, services, "请解释梯度消失")
    result = tab.conversation
    tab.click("conversation_new")
    tab.at.text_input(key="recent_search").set_value("梯度").run()
    tab.check()
    assert any(button.key == f"open_{result}" for button in tab.at.button)


def test_what_does_not_fit_is_asked_about_and_shortening_sends_it(make_services: Make) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.say("Long " * 200)
    assert services.repository.branch(tab.conversation) == []
    tab.click("not_fit_shorten")
    finish(services, tab.conversation)
    assert len(services.repository.branch(tab.conversation)) == 2


def test_going_back_from_the_question_keeps_the_draft(make_services: Make) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.say("Long " * 200)
    tab.click("not_fit_back")
    assert tab.at.chat_input(key="chat_send").value == "Long " * 200


def test_the_oldest_turns_are_named_before_they_are_left_out(make_services: Make) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.at.slider(key="key_max_new_tokens").set_value(512).run()
    first = _answered(tab, services, "The very first question " + "filling " * 300)
    _answered(tab, services, "The second question " + "filling " * 300)
    tab.say("The third question " + "filling " * 300)
    assert "The very first question" in tab.text()
    tab.click("not_fit_drop")
    finish(services, tab.conversation)
    branch = services.repository.branch(tab.conversation)
    assert len(branch) == 6
    assert next(m for m in branch if m.id == first[0].id).excluded


def test_turns_that_were_left_out_can_be_included_again(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    first = _answered(tab, services, "The very first question")
    second = _answered(tab, services, "The second question")
    ids = [message.id for message in (*first, *second)]
    services.conversations.exclude(tab.conversation, ids)
    tab.run()
    tab.click(f"include_{ids[0]}")
    assert [m.excluded for m in services.repository.branch(tab.conversation)] == [False, False, True, True]
    services.conversations.exclude(tab.conversation, ids)
    tab.run()
    tab.click("include_all")
    assert not any(m.excluded for m in services.repository.branch(tab.conversation))
    assert "not sent to the model" not in tab.text()


def test_an_edit_or_a_new_version_that_does_not_fit_is_asked_about_first(make_services: Make) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.at.slider(key="key_max_new_tokens").set_value(512).run()
    question, answer = _answered(tab, services, "A question")
    tab.at.text_area(key=f"edit_text_{question.id}").set_value("Long " * 850)
    tab.click(f"edit_send_{question.id}")
    tab.run()
    assert len(services.repository.siblings(question.id)) == 1
    tab.click("not_fit_shorten")
    finish(services, tab.conversation)
    assert len(services.repository.siblings(question.id)) == 2
    tab.run()
    tab.at.slider(key="key_max_new_tokens").set_value(2048).run()
    edited = services.repository.branch(tab.conversation)[-1]
    tab.click(f"regenerate_{edited.id}")
    assert len(services.repository.siblings(edited.id)) == 1
    tab.click("not_fit_shorten")
    finish(services, tab.conversation)
    assert [m.error for m in services.repository.siblings(edited.id)] == [None, None]
    assert answer.id != edited.id


def test_a_new_conversation_takes_the_message_that_did_not_fit(make_services: Make) -> None:
    services = make_services(context=2048)
    tab = Browser(services, plain="1").run()
    tab.at.slider(key="key_max_new_tokens").set_value(512).run()
    _answered(tab, services, "filling " * 500)
    old = tab.conversation
    tab.say("Another " + "filling " * 300)
    tab.click("not_fit_new")
    assert tab.conversation != old
    finish(services, tab.conversation)
    assert len(services.repository.branch(tab.conversation)) == 2


def test_force_clear_shows_before_and_after(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services)
    tab.click("force_clear")
    assert "600 MiB → 0 MiB" in tab.text()
    assert services.repository.get_conversation(tab.conversation).state_reset_at is not None


def test_only_the_last_thirty_messages_are_drawn_at_first(open_tab: Open, services: Services) -> None:
    conversation = services.conversations.new()
    parent = None
    for number in range(40):
        role = "user" if number % 2 == 0 else "assistant"
        message = services.repository.add_message(
            Message(f"m{number:02}", conversation.id, parent, role, f"text {number}", float(number))  # type: ignore[arg-type]
        )
        parent = message.id
    tab = open_tab(c=conversation.id)
    assert "text 9" not in tab.text().split("\n")
    assert "text 10" in tab.text()
    tab.click("show_earlier")
    assert "text 0" in tab.text()


def test_history_page_opens_exports_and_searches(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services, "Tell me about tuples")
    page = open_tab("conversations", c=tab.conversation)
    page.at.menu_button(key=f"list_more_{tab.conversation}").click("export").run()
    page.check()
    keys = {button.key for button in page.at.get("download_button")}
    assert {f"export_md_{tab.conversation}", "export_all", "export_all_markdown"} <= keys
    page.at.text_input(key="conversations_search").set_value("tuples").run()
    page.check()
    assert any(button.key == "hit_0" for button in page.at.button)


def test_a_message_from_a_control_token_is_shown_as_text(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services, "<|im_end|><script>alert(1)</script>")
    assert "<|im_end|><script>alert(1)</script>" in tab.text()


def test_an_empty_message_is_not_sent(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    tab.say("   ")
    assert services.repository.branch(tab.conversation) == []


def test_the_context_line_counts_what_is_typed_and_not_sent_yet(open_tab: Open, services: Services) -> None:
    tab = open_tab()
    _answered(tab, services)
    before = services.answers.plan(tab.conversation).prompt_tokens
    services.repository.set_setting(DRAFT_SETTING + tab.conversation, "word " * 200)
    tab.run()
    with_draft = services.answers.plan(tab.conversation, "word " * 200).prompt_tokens
    assert with_draft > before + 100
    assert f"Context {with_draft}" in tab.text()
