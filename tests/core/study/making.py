"""Small studies and a scripted engine whose answers depend on the temperature."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twokeys.core.study.prompt import Checker, StudyPrompt
from twokeys.core.study.study import Study, grid_cells
from twokeys.engines.scripted import Say, ScriptedEngine, Step
from twokeys.types import GenerationRequest, Sampling

PROMPTS = (
    StudyPrompt("sum", "What is 3 + 4?", "math", checker=Checker("number", 7)),
    StudyPrompt("sky", "Why is the sky blue?", "explain"),
)


def study(**changes: Any) -> Study:
    """Two prompts, temperatures 0.3 and 1.0, two seeds."""
    values: dict[str, Any] = {
        "name": "small",
        "prompts": PROMPTS,
        "cells": grid_cells({"temperature": [0.3, 1.0]}),
        "seeds": 2,
        "base": Sampling(max_new_tokens=32),
        "n_probs": 1,
    }
    return Study(**{**values, **changes})


def speaker(delay_s: float = 0.0) -> Callable[[GenerationRequest], Sequence[Step]]:
    """Cold answers are right and alike; hot ones differ with the seed."""

    def script(request: GenerationRequest) -> Sequence[Step]:
        if request.sampling.temperature < 0.5:
            return [Say("The answer is 7, as everybody knows.", delay_s)]
        seed = request.sampling.seed or 0
        return [Say(f"Perhaps {seed % 97} or {seed % 89}, who can say {seed % 83}.", delay_s, logprob=-1.5)]

    return script


def engine(delay_s: float = 0.0, **options: Any) -> ScriptedEngine:
    return ScriptedEngine(speaker(delay_s), **options)


def until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout_s} s")
        time.sleep(0.01)
