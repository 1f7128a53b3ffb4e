"""The machines of machines.toml, as surveys; and the decision table of docs/engines.md made of them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twokeys.builds.choice import Option, choose_builds
from twokeys.builds.survey import LOOKS, Survey, survey_of

FILE = Path(__file__).with_name("machines.toml")


@dataclass(frozen=True)
class Machine:
    """One machine and what has to be chosen for it."""

    title: str
    survey: Survey
    best: str
    on: str
    because: str = ""
    of: str = ""

    def options(self) -> tuple[Option, ...]:
        return choose_builds(self.survey)

    def option(self, name: str) -> Option:
        return next(option for option in self.options() if option.build.name == name)


def machines() -> list[Machine]:
    return [_machine(row) for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["machine"]]


def _machine(row: dict[str, Any]) -> Machine:
    results: dict[str, Any] = {"facts": {"cards": [row["facts"]]}}
    for look in LOOKS[1:]:
        cards, problem = row.get(look, []), row.get(f"{look}_problem")
        results[look] = {"cards": cards} | ({"problem": problem} if problem else {})
    retained = {name: row[name] for name in ("title", "best", "on", "because", "of") if name in row}
    return Machine(survey=survey_of(results), **retained)


def decision_table() -> str:
    """Return the table as Markdown: machine, what is used, in what order, and what is not used and why."""
    lines = ["| machine | used | runs on | then | not used, and why |", "|---|---|---|---|---|"]
    for machine in machines():
        options = machine.options()
        usable = [option.build.name for option in options if option.usable]
        why = ""
        if machine.of:
            why = f"`{machine.of}`: {machine.option(machine.of).reason}"
        card = options[0].card.name if options[0].card else "the processor"
        then = ", ".join(f"`{name}`" for name in usable[1:])
        lines.append(f"| {machine.title} | `{usable[0]}` | {card} | {then} | {why} |")
    return "\n".join(lines) + "\n"
