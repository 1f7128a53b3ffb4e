"""Stronger prompts: by template at once, or by the model on demand.

A template keeps the person's words and adds what is missing, in the language of the draft, with values
that are easy to change. The model's rewriting is only asked for here; it is run elsewhere.
"""

import re
from collections.abc import Sequence

from twokeys.core.advice.aspects import Aspect
from twokeys.i18n import translate
from twokeys.types import ChatMessage, GenerationRequest, Sampling

REWRITE_TOKENS = 384
REWRITE_TEMPERATURE = 0.4
_CJK = re.compile(r"[\u3400-\u9fff]")
_LABEL = re.compile(
    r"^\s*(?:(?:好的|当然|sure|certainly|of course|here (?:is|'s))[^\n]{0,60}\n+)?"
    r"\s*(?:\*\*)?(?:改写后的?(?:提示词|问题|请求)?|提示词|rewritten (?:prompt|request)|prompt)(?:\*\*)?"
    r"\s*[:：]\s*",
    re.IGNORECASE,
)
_WRAPPING = " \t\n\"'“”‘’「」`"


def language_of(text: str) -> str:
    """Return the language the prompt is written in: "zh" when it has Chinese characters, else "en"."""
    return "zh" if _CJK.search(text) else "en"


def add_aspects(text: str, task: str, missing: Sequence[Aspect]) -> str:
    """Return the prompt with a line for each aspect it left open."""
    language = language_of(text)
    lines = [translate(f"advice.add.{task}.{aspect}", language) for aspect in missing]
    heading = translate("advice.add.heading", language)
    return "\n".join([text.strip(), "", heading, *(f"- {line}" for line in lines)])


def add_role(text: str, task: str) -> str:
    """Return the prompt with a role in front of it."""
    role = translate(f"advice.role.{task}", language_of(text))
    return f"{role}\n\n{text.strip()}"


def split_steps(text: str, steps: Sequence[str]) -> str:
    """Return the prompt as numbered steps of which only the first is to be done now."""
    language = language_of(text)
    lines = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    return "\n".join(
        [text.strip(), "", translate("advice.steps.heading", language), *lines, "",
         translate("advice.steps.first", language)]
    )  # fmt: skip


def without_sources(text: str) -> str:
    """Return the prompt with what a model without a library can do instead of naming sources."""
    return f"{text.strip()}\n\n{translate('advice.sources.instead', language_of(text))}"


def rewrite_request(text: str, missing: Sequence[Aspect] = ()) -> GenerationRequest:
    """Ask the model for a stronger version of a prompt; `clean_rewrite` reads the reply."""
    language = language_of(text)
    names = [translate(f"advice.aspect.{aspect}", language) for aspect in missing]
    if not names:
        names = [
            translate(f"advice.aspect.{aspect}", language) for aspect in ("audience", "format", "length")
        ]
    ask = translate(
        "advice.rewrite.ask",
        language,
        aspects=translate("advice.aspect.and", language).join(names),
        prompt=text.strip(),
    )
    return GenerationRequest(
        messages=(
            ChatMessage("system", translate("advice.rewrite.system", language)),
            ChatMessage("user", ask),
        ),
        sampling=Sampling(temperature=REWRITE_TEMPERATURE, max_new_tokens=REWRITE_TOKENS),
    )


def clean_rewrite(reply: str, text: str) -> str:
    """Return a usable prompt from the model's reply, or "" when it wrote none."""
    rewritten = _LABEL.sub("", reply.strip(), count=1).strip(_WRAPPING)
    if len(rewritten) < min(8, len(text)) or language_of(rewritten) != language_of(text):
        return ""
    return rewritten
