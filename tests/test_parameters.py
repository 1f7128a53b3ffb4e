"""The table of sampling parameters is whole: what it leaves out would be missing somewhere in silence."""

from dataclasses import fields

import pytest
from pydantic import ValidationError

from twokeys.api.wire import Sampled
from twokeys.engines.llamacpp import completion_body
from twokeys.i18n import catalogue
from twokeys.types import (
    BOUNDS,
    PARAMETER_GROUPS,
    PARAMETERS,
    SAMPLER_ORDERS,
    ChatMessage,
    GenerationRequest,
    SamplerOrder,
    Sampling,
)

OWN_PLACE = {"temperature", "max_new_tokens", "seed", "stop", "order"}
"""Parameters with a place of their own in the forms instead of a group."""


def test_every_field_of_sampling_is_a_row_in_the_order_of_the_fields() -> None:
    assert list(PARAMETERS) == [field.name for field in fields(Sampling)]


def test_every_parameter_is_in_a_group_of_the_forms_or_has_a_place_of_its_own() -> None:
    grouped = [name for names in PARAMETER_GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) | OWN_PLACE == set(PARAMETERS) and not set(grouped) & OWN_PLACE


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_parameter_has_its_texts_in_both_languages(name: str) -> None:
    texts = catalogue()
    assert set(texts[f"sidebar.parameter.{name}.label"]) == {"zh", "en"}
    if PARAMETERS[name].group is not None:
        assert set(texts[f"sidebar.parameter.{name}.note"]) == {"zh", "en"}
        assert set(texts[f"sidebar.group.{PARAMETERS[name].group}"]) == {"zh", "en"}


@pytest.mark.parametrize("name", list(BOUNDS))
def test_every_range_holds_the_default_and_the_value_that_switches_off(name: str) -> None:
    bounds, off = BOUNDS[name], PARAMETERS[name].off
    default = getattr(Sampling(), name)
    assert default is None or bounds.low <= default <= bounds.high
    assert off is None or (isinstance(off, int | float) and bounds.low <= off <= bounds.high)
    if off is not None:
        assert getattr(Sampling(**{name: off}), name) == off


def test_what_needs_another_parameter_needs_one_that_can_be_off() -> None:
    needed = {parameter.needs for parameter in PARAMETERS.values() if parameter.needs is not None}
    assert needed and all(PARAMETERS[name].off is not None for name in needed)


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != "order"])
@pytest.mark.parametrize("order", SAMPLER_ORDERS)
def test_every_parameter_is_sent_to_llama_cpp_with_the_step_that_reads_it(
    name: str, order: SamplerOrder
) -> None:
    parameter = PARAMETERS[name]
    request = GenerationRequest((ChatMessage("user", "hello"),), Sampling(order=order))
    body = completion_body([1, 2, 3], request, seed=5, context=512)
    assert parameter.native in body
    assert parameter.sampler is None or parameter.sampler in body["samplers"]
    assert parameter.group is None or parameter.sampler is not None


BY_ANOTHER_NAME = {"max_new_tokens", "order"}
"""The length has the names of OpenAI's requests; the order of the samplers is a preset's."""


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in BY_ANOTHER_NAME])
def test_a_program_may_set_every_parameter_by_its_own_name(name: str) -> None:
    bounds = PARAMETERS[name].bounds
    least = ["END"] if bounds is None else bounds.low
    assert getattr(Sampled.model_validate({name: least}), name) == least
    if bounds is not None and bounds.integer:
        with pytest.raises(ValidationError):
            Sampled.model_validate({name: bounds.low + 0.5})
