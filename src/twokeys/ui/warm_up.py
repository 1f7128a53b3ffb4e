"""What the first page needs, made ready while the browser is still loading Streamlit's own scripts.

Nothing here is needed for the page to be right: what is missing is made when it is first asked for.
"""

import logging
from importlib import import_module

from twokeys.errors import TwoKeysError
from twokeys.i18n import catalogue
from twokeys.services import Services
from twokeys.web.streamlit_seams import load_late_modules, look_around

log = logging.getLogger(__name__)

FIRST = (
    "twokeys.ui.views.chat",
    "twokeys.ui.views.sidebar",
    "twokeys.ui.views.keys",
    "twokeys.ui.manners",
    "twokeys.ui.own_menu",
    "twokeys.ui.dialogs",
    "twokeys.ui.palette",
)


def warm_up(services: Services) -> None:
    """Load what the first page is made of: the texts, its modules, its services, and which model answers."""
    catalogue()
    load_late_modules()
    for module in FIRST:
        import_module(module)
    for late in (services.late.lab, services.late.advice):  # the line under the keys; what is typed first
        late.get()
    look_around()
    try:
        services.engines.expected()
        services.recommendation()  # asks the engine for this machine's cards
    except TwoKeysError as error:
        log.info("which model answers, or would best, is not known yet: %s", error)
