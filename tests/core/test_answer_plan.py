"""How an answer is to be made: from its plan, and again from what was recorded of it."""

from dataclasses import replace

from twokeys.core.answer_plan import (
    AnswerPlan,
    History,
    beginning,
    kept_facts,
    replayed,
    with_all_parts,
)
from twokeys.types import Message, PartRecord, Provenance, Sampling, Settings

PLAN = AnswerPlan("c", "q", Sampling(max_new_tokens=400), Settings(system_prompt="Be brief."), "continue")
PARTS = (
    PartRecord(
        sampling_set=Sampling(temperature=0.3, max_new_tokens=400).to_dict(),
        seed=11,
        completion_tokens=3,
        from_char=0,
        to_char=9,
    ),
    PartRecord(
        sampling_set=Sampling(temperature=1.1, max_new_tokens=64).to_dict(),
        seed=12,
        completion_tokens=2,
        from_char=9,
        to_char=15,
        from_token=3,
    ),
)


def answer(text: str = "One. Two. Three", parts: tuple[PartRecord, ...] = PARTS) -> Message:
    return Message(
        "a",
        "c",
        "q",
        "assistant",
        text,
        created_at=0.0,
        token_ids=(1, 2, 3, 4, 5),
        provenance=Provenance(parts=parts),
    )


def test_text_that_grows_takes_the_room_there_is_and_an_answer_of_its_own_does_not() -> None:
    assert PLAN.within(100).sampling.max_new_tokens == 100
    assert PLAN.within(20) is PLAN, "too little to be worth it: it is refused later"
    assert PLAN.within(400) is PLAN
    asked = replace(PLAN, kind="send")
    assert asked.within(100) is asked
    short = replace(PLAN, sampling=Sampling(max_new_tokens=30))
    assert short.within(29) is short and short.within(500) is short


def test_an_answer_is_read_again_with_the_prompt_it_was_read_with() -> None:
    known = Provenance(
        system_prompt="Be long.", excluded=("m1",), history_from="m0", model="qwen", model_sha256="ab"
    )
    again = PLAN.read_as(known)
    assert again.settings.system_prompt == "Be long."
    assert again.history == History(("m1",), "m0")
    assert again.begun_by == ("qwen", "ab")
    unknown = PLAN.read_as(Provenance())
    assert unknown.settings.system_prompt == "Be brief." and unknown.history is None


def test_each_part_is_replayed_with_its_seed_and_as_long_as_it_was_but_the_last_with_its_limit() -> None:
    first, last = replayed(answer())
    assert (first.temperature, first.seed, first.max_new_tokens) == (0.3, 11, 3)
    assert (last.temperature, last.seed, last.max_new_tokens) == (1.1, 12, 64)


def test_text_that_no_part_accounts_for_gets_a_part() -> None:
    assert with_all_parts(answer()) == answer()
    whole = with_all_parts(answer(parts=PARTS[:1]))
    assert whole.provenance.parts[0] == PARTS[0]
    stub = whole.provenance.parts[1]
    assert (stub.from_char, stub.completion_tokens) == (9, 2)


def test_a_fork_begins_with_what_it_was_given() -> None:
    given = replace(PARTS[0], from_char=5, from_token=2)
    begun = beginning(answer(parts=(given,)))
    assert (begun.text, begun.token_ids) == ("One. ", (1, 2))
    assert beginning(answer()).text == ""


def test_a_version_keeps_its_column_and_its_fork_and_nothing_else() -> None:
    known = Provenance(column=2, forked_from={"answer": "b"}, preset="precise")
    assert kept_facts(known) == {"column": 2, "forked_from": {"answer": "b"}}
    assert kept_facts(Provenance()) == {}
