"""The prompt coach: what in a draft is likely to go wrong at these keys, and a stronger prompt at once.

Pure and quick enough to run while a person types. Silence is the rule: every finding needs clear signs,
and `review` returns them most important first, so that one line at a time can be shown. What it says is
in the texts under `advice.coach`; the rewritten prompt is in the language of the draft.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from twokeys.core.advice.aspects import NEEDED, Aspect, missing_aspects
from twokeys.core.advice.rewrite import add_aspects, add_role, split_steps, without_sources
from twokeys.core.advice.rules import guess_by_rules, guess_with_material
from twokeys.core.advice.signs import signs
from twokeys.core.advice.tasks import Task
from twokeys.i18n import translate

Kind = Literal["sources", "hot_exact", "cold_open", "several", "vague", "missing", "stiff", "role"]
KINDS: tuple[Kind, ...] = (
    "sources", "hot_exact", "cold_open", "several", "vague", "missing", "stiff", "role",
)  # fmt: skip

HOT = 0.8
"""From here on a vague prompt drifts, says S7."""
COLD = 0.3
COOL = 0.4
ROLE_TEMPERATURE = 0.55
"""Between 0.5 and 0.6, with a role, professional text is said to read best (S14, claim C11)."""
PROFESSIONAL = frozenset({"document", "explain", "long_text"})
MAX_CHARS = 4000
BARE_CHARS, BARE_WORDS = 16, 8
SHORT_CHARS, SHORT_WORDS = 42, 20
LEAST_CHARS, LEAST_WORDS = 3, 2


@dataclass(frozen=True, slots=True)
class DraftAdvice:
    """One thing worth saying. rewritten: a stronger prompt; None where only a key is to be turned.

    missing: the aspects left open. temperature: what to set instead, None to leave it.
    """

    kind: Kind
    rewritten: str | None = None
    missing: tuple[Aspect, ...] = ()
    temperature: float | None = None

    def why(self, language: str, temperature: float) -> str:
        """Return one line on what is likely to go wrong; `temperature` is the present one."""
        names = [translate(f"advice.aspect.{aspect}", language) for aspect in self.missing]
        joined = translate("advice.aspect.and", language).join(names)
        wanted = f"{self.temperature:g}" if self.temperature is not None else ""
        return translate(
            f"advice.coach.{self.kind}", language, missing=joined, now=f"{temperature:g}", wanted=wanted
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    text: str
    temperature: float
    task: Task | None
    system_prompt: str
    follow_up: bool


def review(
    text: str,
    temperature: float,
    *,
    task: Task | None = None,
    system_prompt: str = "",
    follow_up: bool = False,
    attached: bool = False,
) -> tuple[DraftAdvice, ...]:
    """Return what is worth saying about a draft, most important first; usually nothing.

    task: what the person chose; else what the rules read. follow_up: the conversation
    has turns already, whose context may say what the draft leaves out. attached: documents stand before
    it: they are the material, the sources and the subject.
    """
    text = text.strip()[:MAX_CHARS]
    if _is_shorter(text, LEAST_CHARS, LEAST_WORDS):
        return ()
    guess = guess_with_material(text) if attached else guess_by_rules(text)
    draft = _Draft(text, temperature, task or guess.task, system_prompt, follow_up)
    rules = _RULES_WITH_MATERIAL if attached else _RULES
    return tuple(advice for rule in rules if (advice := rule(draft)) is not None)


# ---- the rules --------------------------------------------------------------------------------------


def _sources(draft: _Draft) -> DraftAdvice | None:
    if _has("sources", draft) and not _has("given", draft) and not _is_code(draft):
        return DraftAdvice("sources", without_sources(draft.text))
    return None


def _hot_exact(draft: _Draft) -> DraftAdvice | None:
    task = draft.task
    if task is not None and task.family == "exact" and draft.temperature >= HOT:
        return DraftAdvice("hot_exact", temperature=task.temperature)
    return None


def _cold_open(draft: _Draft) -> DraftAdvice | None:
    task = draft.task
    if task is not None and task.family == "open" and draft.temperature <= COOL:
        return DraftAdvice("cold_open", temperature=task.temperature)
    return None


_CLAUSE = re.compile(r"[，,。；;！!？?\n]+|(?<=\w)\.\s+|\b(?:and then|then|and also)\b", re.IGNORECASE)
_QUOTED = re.compile(r"```.*?```|“[^”]*”|\"[^\"]*\"|「[^」]*」|[：:]\s*\S.*$", re.DOTALL)


def _several(draft: _Draft) -> DraftAdvice | None:
    if draft.follow_up or (draft.task is not None and draft.task.name in ("dialogue", "long_text")):
        return None
    own = _QUOTED.sub(" ", draft.text)
    steps: dict[str, str] = {}
    for clause in _CLAUSE.split(own):
        for name, pattern in signs("action").items():
            if pattern.search(clause) and name not in steps:
                steps[name] = clause.strip()
                break
    if len(steps) >= 3 or (len(steps) == 2 and signs("sign")["besides"].search(own)):
        return DraftAdvice("several", split_steps(draft.text, tuple(steps.values())))
    return None


def _vague(draft: _Draft) -> DraftAdvice | None:
    if draft.follow_up or draft.temperature < HOT:
        return None
    if draft.task is None:
        return _aimless(draft)
    needed = NEEDED.get(draft.task.name, ())
    missing = missing_aspects(draft.text, draft.task.name)
    enough = 3 if draft.task.name == "explain" else 2
    if needed and len(missing) >= enough and _is_shorter(draft.text, SHORT_CHARS, SHORT_WORDS):
        return DraftAdvice("vague", add_aspects(draft.text, draft.task.name, missing), missing)
    return None


def _aimless(draft: _Draft) -> DraftAdvice | None:
    if not _has("aimless", draft):
        return None
    missing: tuple[Aspect, ...] = ("audience", "length", "stance")
    return DraftAdvice("vague", add_aspects(draft.text, "story", missing), missing)


def _missing(draft: _Draft) -> DraftAdvice | None:
    task = draft.task
    if draft.follow_up or draft.temperature >= HOT or task is None or task.name == "explain":
        return None
    needed = NEEDED.get(task.name, ())
    missing = missing_aspects(draft.text, task.name)
    if needed and missing == needed and _is_shorter(draft.text, BARE_CHARS, BARE_WORDS):
        return DraftAdvice("missing", add_aspects(draft.text, task.name, missing), missing)
    return None


def _stiff(draft: _Draft) -> DraftAdvice | None:
    if draft.temperature > COLD or not _wants_role(draft):
        return None
    return DraftAdvice("stiff", add_role(draft.text, _name(draft)), temperature=ROLE_TEMPERATURE)


def _role(draft: _Draft) -> DraftAdvice | None:
    cool = 0.5 <= draft.temperature <= 0.6
    if not (cool and _wants_role(draft) and _has("professional", draft)):
        return None
    return DraftAdvice("role", add_role(draft.text, _name(draft)))


def _wants_role(draft: _Draft) -> bool:
    return (
        draft.task is not None
        and draft.task.name in PROFESSIONAL
        and not draft.system_prompt
        and not draft.follow_up
        and "```" not in draft.text
        and not _has("role", draft)
    )


def _name(draft: _Draft) -> str:
    return draft.task.name if draft.task is not None else "document"


_RULES: tuple[Callable[[_Draft], DraftAdvice | None], ...] = (
    _sources, _hot_exact, _cold_open, _several, _vague, _missing, _stiff, _role,
)  # fmt: skip


_RULES_WITH_MATERIAL = (_hot_exact, _cold_open, _several)

# ---- helpers ----------------------------------------------------------------------------------------


_CJK = re.compile(r"[\u3400-\u9fff]")


def _is_shorter(text: str, chars: int, words: int) -> bool:
    """Whether a text has fewer characters (Chinese) or words (other languages) than given."""
    if _CJK.search(text):
        return len(re.sub(r"\s", "", text)) <= chars
    return len(text.split()) <= words


def _has(sign: str, draft: _Draft) -> bool:
    return signs("sign")[sign].search(draft.text) is not None


def _is_code(draft: _Draft) -> bool:
    return draft.task is not None and draft.task.name in ("code", "code_review")
