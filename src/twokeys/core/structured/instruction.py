"""The form of answers as the model is told of it: behind the system prompt, in one fixed wording.

A grammar alone holds a model to a form that it knows nothing of; a small one then ends as soon as it may. The
wording is the same in every language of the screens, so that an answer can be run again exactly so.
"""

from twokeys.answer_schema import AnswerSchema
from twokeys.core.context import behind
from twokeys.types import Settings

INSTRUCTION = "Answer with JSON alone, no other text. It follows this JSON Schema:"


def told_system_prompt(settings: Settings) -> str:
    """Return the system prompt as the model reads it: with the form that answers are asked to have."""
    return with_instruction(settings.system_prompt, settings.answer_schema)


def with_instruction(system_prompt: str, schema: AnswerSchema | None) -> str:
    """Return a system prompt with a form behind it, the prompt itself where there is no form."""
    if schema is None:
        return system_prompt
    return behind(system_prompt, f"{INSTRUCTION}\n{schema.document}")
