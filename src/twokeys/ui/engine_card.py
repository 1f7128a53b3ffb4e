"""The engine's card on the models page: what is used, what would be faster, one click, progress, proof, undo.

Shared state is the adoption's; this page only shows it. Builds that need a command line are not listed here.
"""

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.ui import engine_line, notices, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.shapes import ShownProof
from twokeys.ui.words import t
from twokeys.units import bytes_text

REDRAW_S = 1.0
BUNDLED = "bundled"
_LAST = state.TabValue[str]("adoption", "")


def draw() -> None:
    """Draw the card."""
    widgets.section(t("modelpage.engine.title"))
    with st.container(key="card_engine"):
        _draw()


@st.fragment(run_every=REDRAW_S)
def _draw() -> None:
    services = state.services()
    view = services.adoption.view
    ended = view.state if view is not None and not view.active else ""
    if ended and ended != _LAST.get():
        _LAST.set(ended)
        st.rerun()
    if view is not None and view.active:
        _LAST.set("")
    _used()
    if view is not None and view.active:
        _under_way()
        return
    if view is not None:
        _ended()
    if view is None or view.state not in ("failed", "slower"):
        _better()


def _used() -> None:
    """Say what is used now and where it runs, and offer the way back to the bundled one."""
    services = state.services()
    active = services.builds.active()
    if services.config.server_binary:
        name = services.config.server_binary
    elif active is None:
        name = t("modelpage.engine.bundled")
    elif active.backend:
        name = _title(active.backend, active.version)
    else:
        name = active.name
    where = engine_line.running_on(services)
    proof = ""
    if active is not None and active.proof is not None and not services.config.server_binary:
        proof = f"<p class='tk-under'>{escape(_proof_text(active.proof))}</p>"
    widgets.html(
        f'<div class="tk-card"><h3>{escape(name)} {widgets.tag(t("modelpage.engine.in_use"))}</h3>'
        + (f"<p>{escape(where)}</p>" if where else "")
        + proof
        + "</div>"
    )
    if active is not None and not services.config.server_binary:
        st.button(
            t("modelpage.engine.undo"),
            key="engine_undo",
            icon=":material/undo:",
            on_click=_use,
            args=(BUNDLED,),
        )


def _better() -> None:
    """Offer the build that would use this machine's card, or one that is here and proven."""
    services = state.services()
    if not services.builds.surveyed or services.config.server_binary:
        return
    best = services.builds.offered()
    if best is not None:
        sure = best.card is not None and best.card.kind != "integrated"
        key = "faster" if sure else "perhaps_faster"
        widgets.html(
            f'<div class="tk-card"><p><b>{escape(t(f"modelpage.engine.{key}"))}</b></p>'
            f"<p>{escape(best.reason.in_language(words.language()))}</p></div>"
        )
        size = bytes_text(best.build.bytes) if best.build.bytes else ""
        st.button(
            t("modelpage.engine.adopt", size=size) if size else t("modelpage.engine.adopt_unsized"),
            key="engine_adopt",
            icon=":material/bolt:",
            type="primary",
            on_click=services.adoption.start,
            args=(best.build.name,),
        )
        return
    active = services.builds.active()
    for entry in services.builds.entries():
        if active is None and entry.installed is not None and entry.installed.works:
            st.button(
                t("modelpage.engine.use", name=entry.name),
                key=f"engine_use_{entry.name}",
                on_click=_use,
                args=(entry.name,),
            )


def _under_way() -> None:
    """Draw the download with pause and cancel, or that the proof is running."""
    services = state.services()
    adoption, view = services.adoption, services.adoption.view
    if view is None:
        return
    if view.state == "proving":
        widgets.html(widgets.bar(None, label=t("modelpage.engine.proving")))
        widgets.note(t("modelpage.engine.proving"))
        return
    progress = view.progress
    share = progress.done_bytes / progress.total_bytes if progress and progress.total_bytes else None
    stage = "paused" if view.state == "paused" else progress.stage if progress else "connecting"
    options = services.builds.options()
    build = next((option.build for option in options if option.build.name == view.name), None)
    title = _title(build.backend, build.version) if build is not None else view.name
    amount = ""
    if progress is not None and progress.total_bytes:
        amount = f"{bytes_text(progress.done_bytes)} / {bytes_text(progress.total_bytes)}"
    source = t(f"models.source.{progress.source}") if progress and progress.source else ""
    head = " · ".join(part for part in (t(f"models.state.{stage}"), source) if part)
    widgets.html(
        f'<div class="tk-card"><p><b>{escape(title)}</b> {escape(head)}</p></div>'
        + widgets.bar(share, label=title)
        + f'<div class="tk-progress"><span>{escape(amount)}</span><span></span></div>'
    )
    with st.container(horizontal=True, gap="small", key="engine_tools"):
        if view.state == "paused":
            st.button(
                t("modelpage.resume"),
                key="engine_resume",
                icon=":material/play_arrow:",
                type="primary",
                on_click=adoption.resume,
            )
        else:
            st.button(
                t("modelpage.pause"), key="engine_pause", icon=":material/pause:", on_click=adoption.pause
            )
        st.button(t("modelpage.cancel"), key="engine_cancel", type="tertiary", on_click=adoption.cancel)


def _title(backend: str, version: str) -> str:
    """Return what a build is called on the page: a release's version is known once it was fetched."""
    name = t("modelpage.engine.build", version=version, backend=t(f"engines.backend.{backend}"))
    return " ".join(name.split())


def _ended() -> None:
    """Say how the last adoption ended, where that is not plain from what is used now."""
    adoption = state.services().adoption
    view = adoption.view
    if view is None:
        return
    if view.state == "failed" and view.error is not None:
        widgets.error(view.error)
        st.button(
            t("modelpage.retry"), key="engine_retry", icon=":material/refresh:", on_click=adoption.resume
        )
    elif view.state == "slower" and view.proof is not None:
        key = "slower" if view.proof.device else "slower_processor"
        widgets.note(t(f"modelpage.engine.{key}", proof=_proof_text(view.proof)))
        label = t("modelpage.engine.use", name=view.name)
        st.button(label, key="engine_use", on_click=_use, args=(view.name,))


def _proof_text(proof: ShownProof) -> str:
    speeds = {
        "tok_per_s": proof.tok_per_s,
        "processor_tok_per_s": proof.processor_tok_per_s,
        "prompt_tok_per_s": proof.prompt_tok_per_s,
        "processor_prompt_tok_per_s": proof.processor_prompt_tok_per_s,
    }
    shown = {name: f"{speed:.1f}" for name, speed in speeds.items()}
    key = "proof_reading" if proof.prompt_tok_per_s else "proof"
    return t(f"modelpage.engine.{key}", agreed=proof.agreed, tokens=proof.tokens, **shown)


def _use(name: str) -> None:
    try:
        state.services().use_build(name)
    except TwoKeysError as error:
        notices.tell_error(error)
