"""What people call an axis of a grid, and a cell named by its values. Which axes there are is in `cell`."""

from twokeys.core.study.cell import CELL_NAMES, SAMPLING_NAMES, SETUP_NAMES
from twokeys.i18n import catalogue, translate
from twokeys.types import PARAMETERS


def axis_title(axis: str, language: str) -> str:
    """Return the name of an axis: the lab's own word for it, else the parameter's label."""
    own = f"lab.axis.{axis}"
    if own not in catalogue() and axis in PARAMETERS:
        return translate(f"sidebar.parameter.{axis}.label", language)
    return translate(own, language)


def cell_title(name: str, language: str) -> str:
    """Return what people call a cell: "温度 0.3" for "temperature=0.3" in Chinese.

    A name that a person gave stays; so does the English form, which is what a study file says.
    """
    if language != "zh":
        return name
    if name == "default":
        return translate("lab.default_cell", language)
    titled = []
    for part in name.split(", "):
        axis, sign, value = part.partition("=")
        if not sign or axis not in _AXES:
            return name
        titled.append(f"{axis_title(axis, language).partition('（')[0]} {value}")
    return "，".join(titled)


_AXES = SAMPLING_NAMES | set(CELL_NAMES) | set(SETUP_NAMES)
