"""Blind votes: shuffled columns, judgements that count once, and what they add up to."""

from dataclasses import replace

import pytest

from twokeys.errors import BadInput
from twokeys.services import Services

from .making import ended, start


def test_blind_votes_are_shuffled_counted_and_end_with_the_reveal(services: Services) -> None:
    comparison = ended(services, start(services, blind=True, task_type="explain"))
    assert (
        comparison.blind is not None
        and sorted(comparison.blind.order) == [0, 1, 2]
        and not comparison.blind.revealed
    )
    services.compare.voting.vote(comparison.id, [1])
    services.compare.voting.vote(comparison.id, [2])  # thought again
    services.compare.voting.vote(comparison.id, [0, 1], among=[0, 1])
    assert services.compare.voting.reveal(comparison.id).blind == replace(comparison.blind, revealed=True)
    services.compare.voting.vote(comparison.id, [0], among=[0, 2])  # no longer blind
    standing = services.compare.voting.standing("explain")
    assert (standing.votes, standing.ties) == (2, 1)
    assert standing.contestants[0].sampling.temperature == 1.0
    assert standing.contestants[0].wins == 1.0
    assert services.compare.voting.task_types() == ["explain"]
    assert services.compare.voting.standing("other").contestants == ()
    preset = services.compare.voting.save_winner(standing.contestants[0].key, "best for explaining")
    assert preset.changes["temperature"] == 1.0 and "seed" not in preset.changes
    with pytest.raises(BadInput):
        services.compare.voting.vote(comparison.id, [])
    with pytest.raises(BadInput):
        services.compare.voting.vote(comparison.id, [2], among=[0, 1])


def test_many_votes_for_one_claim_a_difference_and_say_so(services: Services) -> None:
    result = ended(services, start(services))
    for _ in range(25):
        services.compare.voting.hide(result.id, "draft")
        comparison = services.compare.stored.get(result.id)
        again = ended(services, services.compare.again(comparison.id))
        services.compare.voting.hide(again.id, "draft")
        services.compare.voting.vote(again.id, [0])
    standing = services.compare.voting.standing("draft")
    assert standing.votes == 25 and standing.contestants[0].name == "0.3"
    assert all(pairing.claimed and pairing.more_votes == 0 for pairing in standing.pairings)
    assert standing.position is not None and not standing.position.significant
