"""How the Streamlit script reaches the services, and whether people sign in: for the whole process.

`serve` fills it before the first script run; tests of the UI fill it themselves. Knows nothing of
how the services are built.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokeys.services import Services

_held: "Services | None" = None
_login = False


def set_services(services: "Services | None") -> None:
    """Make `services` the ones every script run uses; None takes them away."""
    global _held
    _held = services


def get_services() -> "Services":
    """Return the services of this process.

    Raises RuntimeError when the script was started by itself (`streamlit run`) instead of by
    `twokeys ui`.
    """
    if _held is None:
        raise RuntimeError("TwoKeys is not running here: start it with `twokeys ui`")
    return _held


def set_login(asked: bool) -> None:
    """Say whether people sign in to this server with a password."""
    global _login
    _login = asked


def has_login() -> bool:
    """Return whether people sign in to this server with a password, and so can sign out."""
    return _login
