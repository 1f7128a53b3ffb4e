"""Runs of the page's script that nothing cuts short once a person's action is in them.

Streamlit gives up a run as soon as the next thing happens in the browser, wherever the script is at
that moment: in the middle of a callback, or before the line that asks whether a button was pressed.
The action of the run it gave up is then lost, or half done. Here callbacks, and every run that
carries an action, go to their end first; what happened meanwhile follows in one further run. Runs
without an action give way as before, so that a slow page can be left at once.
"""

import threading
import time
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime import app_session, get_instance
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import _has_active_trigger_value
from streamlit.runtime.scriptrunner_utils.script_run_context import (
    _fragment_callback_warning_suppressed as _script_gives_up,
)
from streamlit.runtime.state import SafeSessionState

DELIVERY_S = 2.0
BETWEEN_RUNS_S = 0.05


class WholeRunner(ScriptRunner):
    """Streamlit's script runner, which keeps a run with an action in it whole."""

    _whole = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._session_state = _State(self, self._session_state._state)

    def keep_whole(self, whole: bool) -> None:
        """Say whether the run in progress must reach its end."""
        self._whole = whole

    def _run_script(self, rerun_data: Any) -> None:
        self._whole = False
        super()._run_script(rerun_data)
        _deliver()

    def _maybe_handle_execution_control_request(self) -> None:
        if _script_gives_up.get():  # st.rerun and st.switch_page end the run here, as the script wants
            self._whole = False
        if not self._whole:
            super()._maybe_handle_execution_control_request()


class _State(SafeSessionState):
    """The session's state, which tells the runner when callbacks run and whether an action came."""

    def __init__(self, runner: WholeRunner, state: Any) -> None:
        super().__init__(state, runner._maybe_handle_execution_control_request)
        object.__setattr__(self, "_runner", runner)

    def on_script_will_rerun(self, fresh_widget_states: WidgetStates | None, **options: Any) -> None:
        self._runner.keep_whole(True)
        try:
            super().on_script_will_rerun(fresh_widget_states, **options)
        finally:
            widgets = fresh_widget_states.widgets if fresh_widget_states else ()
            self._runner.keep_whole(any(_has_active_trigger_value(widget) for widget in widgets))


def _deliver() -> None:
    """Let the browser have what the run drew before another run begins.

    Where the end of one run and the beginning of the next meet, parts of the page vanish for a moment and
    are made anew, and what a person does in them meanwhile is lost.
    """
    passed = threading.Event()
    get_instance()._get_async_objs().eventloop.call_soon_threadsafe(passed.set)
    passed.wait(DELIVERY_S)
    time.sleep(BETWEEN_RUNS_S)


def install() -> None:
    """Make the sessions of this process run their scripts so."""
    app_session.ScriptRunner = WholeRunner  # type: ignore[attr-defined]
