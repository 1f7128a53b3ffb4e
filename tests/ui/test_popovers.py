"""Widgets in popovers carry their values: a popover is filled late, and would send back first options."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.ui.conftest import Browser, finish

from twokeys.services import Services
from twokeys.types import Settings

CHOSEN = Settings(
    guard={"loop": "warn", "stall": "off", "uncertainty": "note"}, task="facts", preset=None, keep_probs=True
)


def in_popovers(node: Any, *, inside: bool = False) -> Iterator[Any]:
    """Every element that lies in a popover."""
    for child in getattr(node, "children", {}).values():
        block = getattr(child, "proto", None)
        within = inside or (hasattr(block, "HasField") and "popover" in str(getattr(child, "type", "")))
        if hasattr(child, "children"):
            yield from in_popovers(child, inside=within)
        elif inside:
            yield child


def carried(widget: Any) -> Any:
    """The value that a widget brings along for a browser that never showed it."""
    proto, kind = widget.proto, widget.type
    if kind == "selectbox":
        return proto.options[proto.default] if proto.HasField("default") else None
    if kind == "number_input":
        return proto.default if proto.HasField("default") else None
    if kind in ("toggle", "checkbox", "text_area", "text_input"):
        return proto.default
    if kind == "slider":
        return proto.default[0]
    return [proto.options[number].content for number in proto.default]


def shown(widget: Any) -> Any:
    """The value that the page holds for it, in the same form."""
    if widget.type == "selectbox":
        return None if widget.value is None else widget.format_func(widget.value)
    if widget.type == "button_group":
        held = widget.value if isinstance(widget.value, list) else [widget.value]
        return [widget.format_func(value) for value in held if value is not None]
    return widget.value


WITH_VALUES = (
    "selectbox",
    "toggle",
    "checkbox",
    "text_area",
    "text_input",
    "number_input",
    "slider",
    "button_group",
)


@pytest.mark.parametrize("page", ["", "compare", "models"])
def test_every_widget_in_a_popover_carries_its_value(
    page: str, services: Services, open_tab: Callable[..., Browser]
) -> None:
    conversation = services.conversations.new(CHOSEN)
    services.advice.automatic = True
    services.answers.send(conversation.id, "What is recursion?")
    finish(services, conversation.id)
    tab = open_tab(page, c=conversation.id)
    tab.run()  # the first run tells widgets their values, the next ones no more
    result = [widget for widget in in_popovers(tab.at._tree) if widget.type in WITH_VALUES]
    assert result
    assert [(widget.key, carried(widget)) for widget in result] == [
        (widget.key, shown(widget)) for widget in result
    ]
