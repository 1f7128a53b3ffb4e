"""Blind reading: pairs made of stored answers, votes kept with the study, and what they say of C11."""

import json
from math import comb

import pytest

from twokeys.core.study.blind_reading import (
    PAIRS,
    STUDY,
    BlindPair,
    BlindReading,
    Choice,
    Tally,
    make_pairs,
    sign_p,
)
from twokeys.core.study.claims import known_claims, load_claims
from twokeys.core.study.study import first_look, shipped_studies
from twokeys.engines.scripted import Say, ScriptedEngine, Step
from twokeys.errors import BadInput
from twokeys.services import Services
from twokeys.types import GenerationRequest

from ..making import MakeServices


def speaker(request: GenerationRequest) -> list[Step]:
    """Say something else where there is a role."""
    role = any(message.role == "system" for message in request.messages)
    return [Say(f"{'Dear all' if role else 'hey'}: {request.messages[-1].content}")]


def read_answers(services: Services, language: str = "en") -> BlindReading:
    """Run the study and return its reading."""
    view = services.lab.create(services.lab.readings.study(language))
    services.lab.start(view.id)
    assert services.lab.wait(view.id, 60).state == "done"
    reading = services.lab.readings.of("scripted")
    assert reading is not None and reading.study_id == view.id
    return reading


def preferring(pair: BlindPair, role: bool) -> Choice:
    return "a" if pair.role_first == role else "b"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_study_asks_twenty_requests_in_the_readers_language(language: str) -> None:
    study = first_look(shipped_studies()[STUDY], language)
    assert len(study.prompts) == PAIRS and {prompt.language for prompt in study.prompts} == {language}


def test_twenty_votes_for_the_role_confirm_the_claim_on_this_model(make_services: MakeServices) -> None:
    services = make_services(ScriptedEngine(speaker))
    assert services.lab.readings.of("scripted") is None and services.lab.claims() == ()
    reading = read_answers(services)
    assert len(reading.pairs) == PAIRS and reading.votes == ()
    assert 0 < sum(pair.role_first for pair in reading.pairs) < PAIRS, "sides are drawn"
    for number, pair in enumerate(reading.pairs):
        assert services.lab.claims() == (), "no verdict before the last pair"
        assert pair.request in pair.a and pair.request in pair.b
        reading = services.lab.readings.vote(reading.study_id, number, preferring(pair, role=True))
    assert reading.complete
    [row] = services.lab.claims()
    assert (row.claim, row.model, row.verdict, row.study) == ("C11", "scripted", "confirmed", STUDY)
    assert (
        "20" in row.sentence("en") and "20" in row.sentence("zh") and row.figure_text("en").startswith("100")
    )
    rows = known_claims([row])
    assert rows[0] == row and len(rows) == 1 + len(load_claims())
    with pytest.raises(BadInput):
        services.lab.readings.vote(reading.study_id, 3, "tie")


def test_pairs_and_sides_are_the_same_after_a_restart_and_a_vote_may_be_changed(
    make_services: MakeServices,
) -> None:
    services = make_services(ScriptedEngine(speaker))
    reading = read_answers(services, "zh")
    with pytest.raises(BadInput):
        services.lab.readings.vote(reading.study_id, 1, "a")
    services.lab.readings.vote(reading.study_id, 0, "a")
    services.lab.readings.vote(reading.study_id, 1, "tie")
    services.lab.readings.vote(reading.study_id, 0, "b")
    again = services.lab.readings.of("scripted")
    assert again is not None and again.pairs == reading.pairs and again.votes == ("b", "tie")


@pytest.mark.parametrize(
    ("role", "plain", "ties", "verdict"),
    [(15, 5, 0, "confirmed"), (14, 6, 0, "undecided"), (5, 15, 0, "refuted"), (7, 0, 13, "undecided"),
     (8, 0, 12, "confirmed"), (0, 0, 20, "undecided")],
)  # fmt: skip
def test_a_sign_test_decides_and_ties_do_not(role: int, plain: int, ties: int, verdict: str) -> None:
    assert Tally(role, plain, ties).verdict == verdict


def test_the_sign_test_is_the_binomial_one() -> None:
    assert sign_p(15, 5) == pytest.approx(2 * sum(comb(20, i) for i in range(15, 21)) / 2**20)
    assert sign_p(5, 15) == sign_p(15, 5)
    assert sign_p(10, 10) == 1.0 and sign_p(0, 0) == 1.0


def test_answers_that_are_the_same_empty_or_failed_make_no_pair() -> None:
    study = first_look(shipped_studies()[STUDY], "en")
    rows = [{"c": c, "p": p, "s": 0, "text": f"{c} {p}"} for c in (0, 1) for p in range(PAIRS)]
    rows[0]["text"] = rows[PAIRS]["text"] = "the same"
    rows[1]["text"] = " "
    rows[2]["error"] = {"code": "engine_died"}
    pairs = make_pairs(study, rows, 7)
    left_out = {study.prompts[place].id for place in (0, 1, 2)}
    assert len(pairs) == PAIRS - 3 and not left_out & {pair.prompt for pair in pairs}
    assert make_pairs(study, rows, 7) == pairs != make_pairs(study, rows, 8)


def test_ties_everywhere_are_told_in_both_languages_without_a_verdict() -> None:
    pairs = tuple(BlindPair(f"p{i}", "?", "x", "y", i % 2 == 0) for i in range(PAIRS))
    row = BlindReading("id", "small", pairs, ("tie",) * PAIRS).claim()
    assert row.verdict == "undecided" and row.figure is None
    for language in ("zh", "en"):
        assert "{" not in row.sentence(language) and row.decided_by(language)
    json.dumps(row.to_dict())
