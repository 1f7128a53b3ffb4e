"""Comparisons of three temperatures on the scripted engine."""

from typing import Any

from twokeys.core.compare.comparison import Comparison
from twokeys.engines.scripted import Say
from twokeys.services import Services
from twokeys.types import GenerationRequest, Sampling, Settings

from ..making import until

QUESTION = "Why do gradients vanish?"
BASE = Settings(sampling=Sampling(max_new_tokens=200), system_prompt="Be brief.")


def by_temperature(request: GenerationRequest) -> list[Say]:
    return [Say(f"answer at {request.sampling.temperature:g} degrees", delay_s=0.01)]


def start(services: Services, **more: Any) -> Comparison:
    return services.compare.start(QUESTION, services.compare.default_columns(BASE), settings=BASE, **more)


def ended(services: Services, comparison: Comparison) -> Comparison:
    until(lambda: not services.compare.stored.get(comparison.id).active)
    until(lambda: services.compare.stored.get(comparison.id).sharing is not None)
    return services.compare.stored.get(comparison.id)
