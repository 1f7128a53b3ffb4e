"""What the surroundings say is taken over or refused with a sentence, never half understood."""

import pytest

from twokeys.config import load_config
from twokeys.errors import BadParameter


def test_the_idle_time_out_is_off_unless_it_is_named() -> None:
    assert load_config({}).idle_timeout_s == 0
    assert load_config({"TWOKEYS_IDLE_TIMEOUT_S": ""}).idle_timeout_s == 0
    assert load_config({"TWOKEYS_IDLE_TIMEOUT_S": "600"}).idle_timeout_s == 600


@pytest.mark.parametrize("reported", ["10m", "-5", "nan", "inf", "1e9"])
def test_an_idle_time_out_that_is_no_time_is_refused_with_its_name_and_range(reported: str) -> None:
    with pytest.raises(BadParameter) as refused:
        load_config({"TWOKEYS_IDLE_TIMEOUT_S": reported})
    for language in ("zh", "en"):
        sentence = refused.value.message(language)
        assert "TWOKEYS_IDLE_TIMEOUT_S" in sentence and reported in sentence and "604800" in sentence
