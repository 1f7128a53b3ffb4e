"""Which build is chosen for a machine: the table of machines, and the rules behind it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.builds.machines import Machine, decision_table, machines

from twokeys.builds.choice import choose_builds, hindrance
from twokeys.builds.survey import Survey
from twokeys.i18n import translate

DOCUMENT = Path(__file__).parents[2] / "docs" / "engines.md"


@pytest.mark.parametrize("machine", machines(), ids=lambda machine: machine.title)
def test_each_machine_gets_its_build_and_a_reason_for_what_it_does_not_get(machine: Machine) -> None:
    best = machine.options()[0]
    assert (best.build.name, best.card.name if best.card else "") == (machine.best, machine.on)
    assert best.usable
    if machine.of:
        refused = machine.option(machine.of)
        assert not refused.usable
        assert refused.reason.key == f"engines.choice.{machine.because}"
    for option in machine.options():
        for language in ("zh", "en"):
            assert "{" not in option.reason.in_language(language), option.build.name


def test_there_are_enough_machines_and_all_kinds_of_them() -> None:
    known = machines()
    assert len(known) >= 25
    majors = {card.driver_major for machine in known for card in machine.survey.cards}
    assert majors >= {470, 535, 550, 570, 580, 610}
    assert {card.compute for machine in known for card in machine.survey.cards} >= {(5, 0), (12, 0)}
    assert any(machine.survey.wsl for machine in known)
    assert any(machine.survey.container for machine in known)


def test_the_bundled_build_always_remains_whatever_the_survey_says() -> None:
    for survey in [Survey(), *(machine.survey for machine in machines())]:
        bundled = [option for option in choose_builds(survey) if option.build.name == "bundled"]
        assert [option.usable for option in bundled] == [True]


def test_an_idle_card_has_a_sentence_and_a_machine_without_one_has_none() -> None:
    for machine in machines():
        options, why = machine.options(), hindrance(machine.survey)
        real = [card for card in machine.survey.cards if card.kind != "software"]
        assert (why is not None) == (options[0].card is None and bool(real)), machine.title
    named = {machine.title: hindrance(machine.survey) for machine in machines()}
    old = str(named["RTX 2070, driver 535, its Vulkan part not installed"])
    assert "driver 535.247.01" in old and "570" in old and "nvidia-vulkan-icd" in old
    assert "mesa-vulkan-drivers" in str(named["RX 580 without mesa-vulkan-drivers"])
    assert str(named["container to which the card was not given"]).count("--gpus all") == 1
    blind = hindrance(Survey("linux", "x86_64", (2, 36), problems={"nvml": "hung", "vulkan": "absent"}))
    assert blind is not None and blind.key == "engines.choice.unseen"


def test_a_card_of_its_own_comes_before_a_larger_one_that_shares_memory() -> None:
    both = next(machine for machine in machines() if "RX 7600" in machine.title)
    shared = replace(both.survey, cards=both.survey.cards[:1])
    assert choose_builds(shared)[0].reason.key == "engines.choice.vulkan_shared"
    assert choose_builds(both.survey)[0].card == both.survey.cards[1]


def test_the_table_in_the_documents_is_what_the_choice_says() -> None:
    assert decision_table() in DOCUMENT.read_text(encoding="utf-8"), "run scripts/write_engine_table.py"


def test_every_reason_of_the_choice_is_a_text() -> None:
    used = {option.reason.key for machine in machines() for option in machine.options()}
    assert len(used) >= 15
    assert all(translate(key, "zh") != translate(key, "en") for key in used)
