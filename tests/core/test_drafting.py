"""Which answers are drafted for, and what is written down of it."""

import pytest

from twokeys.core.drafting import choose_draft
from twokeys.core.memory.drafts import Vocabulary, check_vocabularies
from twokeys.errors import BadInput
from twokeys.types import Sampling, Settings

PLAIN = Sampling()


def test_nothing_is_drafted_unless_a_person_or_what_is_done_asks_for_it() -> None:
    assert choose_draft(Settings(), PLAIN).name == "auto"
    assert choose_draft(Settings(), PLAIN, "write").name == "auto"
    assert choose_draft(Settings(), PLAIN, "rewrite").facts("simple") == {"name": "simple", "reason": "task"}
    assert choose_draft(Settings(draft="off"), PLAIN, "rewrite").name == "off"
    assert choose_draft(Settings(draft="mod"), PLAIN).facts("mod") == {"name": "mod", "reason": "chosen"}


@pytest.mark.parametrize(
    ("settings", "sampling", "reason"),
    [
        (Settings(draft="simple"), Sampling(seed=1), "seed"),
        (Settings(draft="simple", keep_probs=True), PLAIN, "probabilities"),
        (Settings(draft="simple", guard={"uncertainty": "note"}), PLAIN, "probabilities"),
    ],
)
def test_a_seed_and_wanted_probabilities_come_before_drafts_and_that_is_written_down(
    settings: Settings, sampling: Sampling, reason: str
) -> None:
    choice = choose_draft(settings, sampling)
    assert choice.name == "off"
    assert choice.facts(None) == {"name": "off", "reason": reason}


def test_where_nobody_asked_nothing_is_written_down() -> None:
    assert choose_draft(Settings(), Sampling(seed=1)).facts(None) == {}
    assert choose_draft(Settings(keep_probs=True), PLAIN).facts(None) == {}
    assert choose_draft(Settings(guard={"uncertainty": "off"}), PLAIN).name == "auto"


def test_vocabularies_of_one_family_agree_and_others_are_refused_with_the_reason() -> None:
    small, large = (Vocabulary("gpt2", "qwen2", size, 151643, 151645) for size in (151936, 152064))
    check_vocabularies("7B", large, "0.5B", small)
    for other in (
        Vocabulary("gpt2", "qwen2", 152065, 151643, 151645),
        Vocabulary("gpt2", "smollm", 151936, 151643, 151645),
        Vocabulary("llama", "qwen2", 151936, 151643, 151645),
    ):
        with pytest.raises(BadInput) as refused:
            check_vocabularies("0.5B", small, "other", other)
        assert "other" in refused.value.message("en")
