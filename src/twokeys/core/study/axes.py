"""What people call an axis of a grid. Which axes there are is in `cell`."""

from twokeys.i18n import catalogue, translate
from twokeys.types import PARAMETERS


def axis_title(axis: str, language: str) -> str:
    """Return the name of an axis: the lab's own word for it, else the parameter's label."""
    own = f"lab.axis.{axis}"
    if own not in catalogue() and axis in PARAMETERS:
        return translate(f"sidebar.parameter.{axis}.label", language)
    return translate(own, language)
