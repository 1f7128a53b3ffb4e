"""What the model reads, what fits, what would have to go."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from twokeys.core.context import (
    TurnCost,
    build_prompt,
    first_words,
    plan_context,
)
from twokeys.core.titles import clean_title, title_request
from twokeys.types import ChatMessage, Message, ResetMark, Role


def message(name: str, role: Role, text: str | None = None) -> Message:
    return Message(name, "c", None, role, name if text is None else text, 0.0)


PATH = [message("q1", "user"), message("a1", "assistant"), message("q2", "user"), message("a2", "assistant")]
ASKED = [*PATH, message("q3", "user")]


def contents(messages: tuple[ChatMessage, ...]) -> list[str]:
    return [message.content for message in messages]


def test_everything_is_read_with_the_system_prompt_first() -> None:
    prompt = build_prompt(ASKED, "be brief")
    assert contents(prompt.messages) == ["be brief", "q1", "a1", "q2", "a2", "q3"]
    assert (prompt.excluded, prompt.history_from) == ((), None)


def test_excluded_turns_and_empty_answers_are_not_read() -> None:
    path = [replace(ASKED[0], excluded=True), replace(ASKED[1], content=""), *ASKED[2:]]
    prompt = build_prompt(path, "")
    assert contents(prompt.messages) == ["q2", "a2", "q3"]
    assert prompt.excluded == ("q1",)


def test_after_a_force_clear_only_what_came_later_is_read() -> None:
    prompt = build_prompt(ASKED, "", resets=[ResetMark("a1")])
    assert contents(prompt.messages) == ["q2", "a2", "q3"]
    assert prompt.history_from == "q2"
    assert build_prompt(ASKED, "", resets=[ResetMark("on another branch")]).history_from is None


def test_every_reset_stays_and_what_stands_above_one_can_be_read_again() -> None:
    marks = [ResetMark("a1"), ResetMark("a2")]
    assert contents(build_prompt(ASKED, "", resets=marks).messages) == ["q3"]
    brought_back = [marks[0], ResetMark("a2", keep_history=True)]
    assert contents(build_prompt(ASKED, "", resets=brought_back).messages) == ["q2", "a2", "q3"]
    everything = [ResetMark("a1", keep_history=True), ResetMark("a2", keep_history=True)]
    assert build_prompt(ASKED, "", resets=everything).history_from is None


def test_a_recorded_prompt_can_be_built_again() -> None:
    recorded = build_prompt(ASKED, "", resets=[ResetMark("a1")])
    again = build_prompt(ASKED, "", excluded=recorded.excluded, history_from=recorded.history_from)
    assert again.messages == recorded.messages


turns = st.lists(st.integers(1, 500), max_size=12)


@given(turns, st.integers(20, 500), st.integers(1, 4096), st.integers(512, 8192))
def test_a_plan_never_offers_what_does_not_help(
    tokens: list[int], question: int, max_new: int, context: int
) -> None:
    costs = [TurnCost(f"q{i}", "", n, (f"q{i}", f"a{i}")) for i, n in enumerate(tokens)]
    prompt = question + sum(tokens)
    plan = plan_context(
        context=context, prompt_tokens=prompt, max_new_tokens=max_new, turns=costs, exact=True
    )
    assert plan.fits == (prompt + max_new <= context)
    if plan.fits:
        assert not plan.drop_to_fit and plan.shorten_to is None
        return
    if plan.shorten_to is not None:
        assert plan.shorten_to < max_new and prompt + plan.shorten_to <= context
    dropped = len(plan.drop_to_fit) // 2
    if dropped:
        assert prompt - sum(tokens[:dropped]) + max_new <= context
        assert prompt - sum(tokens[: dropped - 1]) + max_new > context
        assert plan.drop_to_fit[0] == "q0"
    else:
        assert question + max_new > context


def test_an_unknown_context_lets_everything_through() -> None:
    plan = plan_context(context=0, prompt_tokens=10**6, max_new_tokens=4096, turns=[], exact=False)
    assert plan.fits


def test_titles_are_short_and_cut_at_words() -> None:
    assert first_words("Short one") == "Short one"
    long = first_words("# Explain `vanishing` gradients to somebody who has never seen calculus")
    assert long == "Explain vanishing gradients to somebody…"
    assert len(first_words("长" * 100)) == 21


def test_a_title_is_taken_out_of_what_the_model_wrapped_around_it() -> None:
    assert clean_title("标题：《梯度消失》\n解释") == "梯度消失"
    assert clean_title('\n"Foxes at night."') == "Foxes at night"
    assert clean_title("  ") == clean_title("x" * 90) == ""


def test_the_title_is_asked_for_in_the_language_of_the_question() -> None:
    chinese = title_request([ChatMessage("user", "你好"), ChatMessage("assistant", "Hello")])
    assert "标题" in chinese.messages[-1].content
    assert "title" in title_request([ChatMessage("user", "hi")]).messages[-1].content
