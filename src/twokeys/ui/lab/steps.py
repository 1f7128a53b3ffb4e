"""What a person does to a study, with the errors told instead of raised. Called by the page's buttons."""

from collections.abc import Sequence

import streamlit as st

from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.lab import StudyView
from twokeys.core.study.study import Study
from twokeys.errors import TwoKeysError
from twokeys.ui import actions, notices, state, words
from twokeys.ui.words import t

ACTIVE = ("running", "waiting")


def open_study(study_id: str | None) -> None:
    """Put a study in the address, or none."""
    for name in ("s", "view", "from"):
        st.query_params.pop(name, None)
    if study_id is not None:
        st.query_params["s"] = study_id


def open_view(name: str, template: str | None = None) -> None:
    """Open a part of the page; `template`: the shipped study that a new one begins with."""
    open_study(None)
    st.query_params["view"] = name
    if template is not None:
        st.query_params["from"] = template


def create(study: Study, *, start: bool, on: FleetSpec | None = None) -> None:
    """Store a study, start it if wanted, and open it. on: what writes, see `Lab.start`."""
    try:
        view = state.services().lab.create(study)
        open_study(view.id)
        if start:
            state.services().lab.start(view.id, on)
    except TwoKeysError as error:
        notices.tell_error(error)


def start(study_id: str, on: FleetSpec) -> None:
    """Run a study, or go on with it, on the engines that were chosen."""
    actions.attempt(state.services().lab.start, study_id, on)


def pause(study_id: str) -> None:
    """Stop a study after giving up the answer being written."""
    actions.attempt(state.services().lab.pause, study_id)


def delete(view: StudyView) -> None:
    """Delete a study and offer to take it back."""
    services = state.services()
    try:
        token = services.lab.delete(view.id)
    except TwoKeysError as error:
        notices.tell_error(error)
        return
    title = view.study.title_in(words.language())
    notices.offer_undo(t("ui.deleted", title=title), lambda: services.conversations.undo(token))
    if st.query_params.get("s") == view.id:
        open_study(None)


def run_group(studies: Sequence[Study]) -> None:
    """Start these studies on the present model, one after the other; what is done stays done."""
    services = state.services()
    model = services.engines.name
    done = {(view.study.fingerprint, view.model) for view in services.lab.list(500) if view.state == "done"}
    try:
        for study in studies:
            if (study.fingerprint, model) in done:
                continue
            view = services.lab.find(study, model) or services.lab.create(study)
            services.lab.start(view.id)
    except TwoKeysError as error:
        notices.tell_error(error)
