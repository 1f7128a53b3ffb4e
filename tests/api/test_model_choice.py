"""Which model a name means: what answers, it with a preset, or an error that says what to do."""

from collections.abc import Sequence

import pytest

from twokeys.api.choice import ANY, choose, listed
from twokeys.api.errors import ApiError
from twokeys.types import Preset

PRESETS = (Preset("precise", "combination", {"temperature": 0.2}), Preset("draft", "scenario", {}))


def none_installed() -> Sequence[str]:
    raise AssertionError("the disk is not read for the model that answers")


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("", None),
        (ANY, None),
        ("twokeys/precise", "precise"),
        ("org/qwen:7b", None),
        ("org/qwen:7b:draft", "draft"),
    ],
)
def test_a_name_means_the_model_that_answers_with_its_preset(name: str, preset: str | None) -> None:
    choice = choose(name, "org/qwen:7b", none_installed, PRESETS)
    assert (choice.name, choice.preset and choice.preset.name) == ("org/qwen:7b", preset)
    assert choice.label == ("org/qwen:7b" if preset is None else f"org/qwen:7b:{preset}")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("twokeys/nobody", 404, "model_not_found"),
        ("nobody", 404, "model_not_found"),
        ("qwen:nobody", 404, "model_not_found"),
        ("other", 503, "model_not_active"),
        ("other:precise", 503, "model_not_active"),
    ],
)
def test_what_does_not_answer_is_refused_with_the_way_on(name: str, status: int, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        choose(name, "qwen", lambda: ["qwen", "other"], PRESETS)
    assert (caught.value.status, caught.value.code, caught.value.param) == (status, code, "model")


@pytest.mark.parametrize("name", ["", "twokeys/precise"])
def test_without_any_model_a_program_is_told_to_come_again(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        choose(name, None, list, PRESETS)
    assert (caught.value.status, caught.value.response().headers["retry-after"]) == (503, "5")


def test_every_name_that_is_listed_is_one_that_is_understood() -> None:
    rows = listed("qwen", ["qwen", "other"], PRESETS)
    names = [row["id"] for row in rows]
    assert names[:2] == ["qwen", "other"] and len(names) == len(set(names)) == 6
    for row in rows:
        if row["twokeys"]["active"]:
            assert choose(row["id"], "qwen", none_installed, PRESETS).name == "qwen"
    assert listed(None, ["other"], PRESETS) == [row for row in rows if row["id"] == "other"]
