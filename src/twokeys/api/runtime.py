"""How the settings page reaches the API of its own process: one holder, filled when it is served."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokeys.api.routes import ApiRoutes

_held: "ApiRoutes | None" = None


def set_api(api: "ApiRoutes | None") -> None:
    """Make `api` the one the settings page shows; None takes it away."""
    global _held
    _held = api


def get_api() -> "ApiRoutes | None":
    """Return the API that is served here, None when none is."""
    return _held
