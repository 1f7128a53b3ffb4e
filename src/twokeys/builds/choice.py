"""Which build of llama.cpp suits a machine: a pure function from its survey to a list with reasons.

Best first, and what cannot be used after it, each with why. The rules, in the order they are applied:

1. A card of its own comes before one that shares the processor's memory, that before the processor.
2. For one card, the catalogue's order counts: CUDA, ROCm, Vulkan, and what the package index has first.
3. A build whose needs the machine does not meet is not used, and says which need.
4. The bundled build always remains: with Metal on an Apple processor, else on the processor.

Chooses from what is known on paper. Whether a build works is proven before it is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from twokeys.builds.catalogue import BUNDLED, Build, Version, builds_for
from twokeys.builds.survey import Card, Survey
from twokeys.errors import Reason

VENDORS = {"cuda": ("nvidia",), "rocm": ("amd",), "vulkan": ("nvidia", "amd", "intel", "other")}
"""Whose cards a backend drives."""
MAKERS = ("nvidia", "amd", "intel")
PLACES = ("discrete", "unified", "virtual", "unknown", "integrated")
"""Kinds of cards, the best first; a processor that imitates a card is none."""


@dataclass(frozen=True, slots=True)
class Option:
    """A build for this machine. card: what it would run on, None for the processor. reason: why (not)."""

    build: Build
    usable: bool
    reason: Reason
    card: Card | None = None


def choose_builds(survey: Survey, builds: tuple[Build, ...] | None = None) -> tuple[Option, ...]:
    """Return every build for this system, the best first and the unusable last."""
    known = builds_for(survey.system, survey.machine) if builds is None else builds
    ranked = []
    for place, build in enumerate(known):
        option = _option(build, survey)
        ranked.append((not option.usable, _rank(option.card), place, option))
    bundled = _bundled(survey)
    ranked.append((False, _rank(bundled.card), len(known), bundled))
    ranked.sort(key=lambda row: row[:3])
    return tuple(row[3] for row in ranked)


def hindrance(survey: Survey) -> Reason | None:
    """Return what keeps the cards of this machine idle; None when nothing does, or there are none.

    Of several builds for a card the one that asks least is named, and Vulkan, which asks no maker's kit.
    """
    options = choose_builds(survey)
    if options[0].card is not None:
        return None
    if not _cards(survey):
        return _unseen(survey)
    reasons = {option.build.backend: option.reason for option in reversed(options) if option.card is not None}
    least = {option.build.backend: option.reason for option in options if option.card is not None}
    why = [least["cuda"]] if "cuda" in least else []
    why += [reasons["vulkan"]] if "vulkan" in reasons else []
    why = list(dict.fromkeys(why)) or list(reasons.values())
    if len(why) > 1:
        return Reason("engines.choice.both", first=why[0], second=why[1])
    return why[0] if why else None


def _option(build: Build, survey: Survey) -> Option:
    lack = _lack_of_system(build, survey)
    if build.backend == "cpu":
        if lack is None and not _suits_processor(build, survey):
            lack = Reason("engines.choice.no_gain")
        return Option(build, lack is None, lack or Reason("engines.choice.processor_faster"))
    cards = [card for card in _cards(survey) if card.vendor in VENDORS[build.backend]]
    if not cards:
        return Option(build, False, _no_card(build, survey))
    cards.sort(key=lambda card: (PLACES.index(card.kind), -card.total_bytes))
    lacks = [
        lack or _lack_of_card(build, card, survey) or _lack_of_processor(build, survey) for card in cards
    ]
    for card, why in zip(cards, lacks, strict=True):
        if why is None:
            return Option(build, True, _praise(build, card), card)
    return Option(build, False, lacks[0] or Reason("engines.choice.no_card"), cards[0])


def _bundled(survey: Survey) -> Option:
    apple = next((card for card in survey.cards if card.kind == "unified"), None)
    backend = "metal" if apple is not None else "cpu"
    build = Build(BUNDLED, backend, "bundled", survey.system, survey.machine)  # type: ignore[arg-type]
    key = "engines.choice.metal" if apple is not None else "engines.choice.bundled"
    return Option(build, True, Reason(key, card=apple.name if apple else ""), apple)


def _cards(survey: Survey) -> list[Card]:
    return [card for card in survey.cards if card.kind in PLACES]


def _rank(card: Card | None) -> int:
    return len(PLACES) if card is None else PLACES.index(card.kind)


def _praise(build: Build, card: Card) -> Reason:
    if build.backend == "cuda":
        return Reason("engines.choice.cuda", card=_shown(card), driver=card.driver)
    if build.backend == "rocm":
        return Reason("engines.choice.rocm", card=_shown(card), target=card.target)
    key = "engines.choice.vulkan_shared" if card.kind == "integrated" else "engines.choice.vulkan"
    return Reason(key, card=_shown(card), version=_text(card.vulkan))


def _lack_of_system(build: Build, survey: Survey) -> Reason | None:
    needed = build.needs.glibc
    if needed is not None and (survey.glibc is None or survey.glibc < needed):
        installed = _text(survey.glibc) or "–"
        return Reason("engines.choice.glibc", needed=_text(needed), found=installed)
    return None


def _lack_of_processor(build: Build, survey: Survey) -> Reason | None:
    """Return why a build for a card cannot run beside this processor: it was compiled for another."""
    if not build.needs.flags or _suits_processor(build, survey):
        return None
    needed = ", ".join(build.needs.flags)
    return Reason("engines.choice.other_processor", build=build.name, needed=needed)


def _suits_processor(build: Build, survey: Survey) -> bool:
    """Return whether the processor has one of the instructions that a build was compiled for."""
    return bool(set(build.needs.flags) & set(survey.flags))


def _lack_of_card(build: Build, card: Card, survey: Survey) -> Reason | None:
    """Return the first need of the build that the card does not meet."""
    return next(_lacks_of_card(build, card, survey), None)


def _lacks_of_card(build: Build, card: Card, survey: Survey) -> Iterator[Reason]:
    needs, name = build.needs, _shown(card)
    if needs.driver is not None:
        if not card.driver:
            yield _no_nvidia_driver(card, survey)
        elif card.driver_major < needs.driver:
            yield Reason(
                "engines.choice.driver", card=name, found=card.driver, needed=needs.driver, build=build.name
            )
    if needs.compute is not None and (card.compute or (0,)) < needs.compute:
        compute = _text(card.compute) or "–"
        yield Reason(
            "engines.choice.compute", card=name, found=compute, needed=_text(needs.compute), build=build.name
        )
    if needs.targets and card.target not in needs.targets:
        key = "engines.choice.target" if card.target else "engines.choice.no_rocm"
        yield Reason(key, card=name, found=card.target)
    if needs.vulkan is not None and card.vulkan is None:
        yield _no_vulkan(card, survey)
    elif needs.vulkan is not None and card.vulkan is not None and card.vulkan < needs.vulkan:
        yield Reason(
            "engines.choice.vulkan_old", card=name, found=_text(card.vulkan), needed=_text(needs.vulkan)
        )


def _no_nvidia_driver(card: Card, survey: Survey) -> Reason:
    key = "container" if survey.container else "wsl" if survey.wsl else "no_nvidia_driver"
    return Reason(f"engines.choice.{key}", card=_shown(card))


def _no_vulkan(card: Card, survey: Survey) -> Reason:
    problem = survey.problems.get("vulkan")
    if problem in ("crashed", "hung", "nonsense", "failed", "not_asked"):
        return Reason("engines.choice.vulkan_broken", how=Reason(f"engines.problem.{problem}"))
    if survey.container:
        return Reason("engines.choice.container", card=_shown(card))
    if survey.wsl:
        return Reason("engines.choice.wsl_vulkan", card=_shown(card))
    key = "no_vulkan_nvidia" if card.vendor == "nvidia" else "no_vulkan_mesa"
    return Reason(f"engines.choice.{key}", card=_shown(card))


def _no_card(build: Build, survey: Survey) -> Reason:
    """Return why there is no card for a build: there is none, or the look for it went wrong."""
    look = {"cuda": "nvml", "rocm": "rocm", "vulkan": "vulkan"}[build.backend]
    problem = survey.problems.get(look)
    if problem in ("crashed", "hung", "nonsense", "failed", "not_asked"):
        return Reason(f"engines.choice.{build.backend}_unknown", how=Reason(f"engines.problem.{problem}"))
    return Reason(f"engines.choice.no_card_{build.backend}")


def _unseen(survey: Survey) -> Reason | None:
    """Return which look went wrong on a machine where no card was found."""
    broken = [
        name for name, how in survey.problems.items() if how in ("crashed", "hung", "nonsense", "failed")
    ]
    if not broken:
        return None
    how = Reason(f"engines.problem.{survey.problems[broken[0]]}")
    return Reason("engines.choice.unseen", look=broken[0], how=how)


def _shown(card: Card) -> str:
    """Return the card's name; that it is one of its maker's where only the bus knows it."""
    return card.name or (Reason(f"engines.card.{card.vendor}") if card.vendor in MAKERS else card.vendor)


def _text(version: Version | None) -> str:
    return ".".join(map(str, version)) if version else ""
