"""Who competes in the blind votes, and which votes count."""

from twokeys.core.compare.votes import contestant_key
from twokeys.types import PARAMETERS, Sampling


def test_a_vote_stored_before_a_parameter_existed_counts_for_the_same_contestant() -> None:
    now = Sampling(temperature=0.4).to_dict()
    for name in PARAMETERS:
        if name != "temperature":
            before = {key: value for key, value in now.items() if key != name}
            assert contestant_key({"sampling": before}) == contestant_key({"sampling": now}), name


def test_seed_length_and_stop_strings_make_no_other_contestant_but_a_system_prompt_does() -> None:
    plain = contestant_key({"sampling": Sampling().to_dict()})
    other = Sampling(seed=3, max_new_tokens=7, stop=("END",)).to_dict()
    assert contestant_key({"sampling": other}) == plain
    assert contestant_key({"sampling": Sampling(top_k=5).to_dict()}) != plain
    assert contestant_key({"sampling": Sampling().to_dict(), "system_prompt": "Be a poet."}) != plain
