"""Runs of the page's script that nothing cuts short once a person's action is in them.

Streamlit gives up a run as soon as the next thing happens in the browser, wherever the script is at
that moment: in the middle of a callback, or before the line that asks whether a button was pressed.
The action of the run it gave up is then lost, or half done. Here callbacks, and every run that
carries an action, go to their end first; what happened meanwhile follows in one further run. Runs
without an action give way as before, so that a slow page can be left at once.

Nor does an action, a timer or a part of the page lead back: the browser sends with each the page and the
address that it knew when it happened, also when another page was asked for since.
"""

import threading
import time
from dataclasses import replace
from typing import Any

from twokeys.web.streamlit_seams import (
    SafeSessionState,
    ScriptRunner,
    WidgetStates,
    address,
    asked,
    call_on_event_loop,
    carries_action,
    close_containers,
    is_asked,
    leads_elsewhere,
    script_gives_up,
    set_runner,
)

DELIVERY_S = 2.0
BETWEEN_RUNS_S = 0.05


class WholeRunner(ScriptRunner):
    """Streamlit's script runner, which keeps a run with an action in it whole."""

    _whole = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._session_state = _State(self, self._session_state._state)
        with asked(self._requests) as requests:
            requests._rerun_data = self._where_we_are(requests._rerun_data)

    def keep_whole(self, whole: bool) -> None:
        """Say whether the run in progress must reach its end."""
        self._whole = whole

    def request_rerun(self, rerun_data: Any) -> bool:
        """Ask for a run; what leads nowhere stays where the session is, or is about to go."""
        with asked(self._requests) as requests:
            waits = requests._rerun_data if is_asked(requests) else None
        return super().request_rerun(self._where_we_are(rerun_data, waits))

    def _where_we_are(self, rerun_data: Any, waits: Any = None) -> Any:
        if leads_elsewhere(rerun_data):
            return rerun_data
        if waits is not None and waits.page_script_hash:
            return replace(
                rerun_data,
                page_script_hash=waits.page_script_hash,
                page_name=waits.page_name,
                query_string=waits.query_string,
            )
        page = self._pages_manager.current_page_script_hash
        if not page:
            return rerun_data  # the first run of the session
        return replace(
            rerun_data, page_script_hash=page, page_name="", query_string=address(self._session_state)
        )

    def _run_script(self, rerun_data: object) -> None:
        _ends.keep_apart(self._session_id)
        close_containers()  # a fragment that ran before leaves those open that it lies in
        self._whole = False
        try:
            super()._run_script(_with_all_actions(rerun_data))
        finally:
            _ends.note(self._session_id)

    def _maybe_handle_execution_control_request(self) -> None:
        if script_gives_up():  # st.rerun and st.switch_page end the run here, as the script wants
            self._whole = False
        if not self._whole:
            super()._maybe_handle_execution_control_request()


def _with_all_actions(rerun_data: Any) -> Any:
    """Let the whole page run where a run of one part of it carries actions of other parts as well.

    The browser sends what was done in the same moment in one message, with the part of the first.
    """
    states = rerun_data.widget_states
    if not rerun_data.fragment_id_queue or states is None:
        return rerun_data
    if sum(carries_action(widget) for widget in states.widgets) < 2:
        return rerun_data
    return replace(rerun_data, fragment_id_queue=[], is_fragment_scoped_rerun=False)


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
            self._runner.keep_whole(any(carries_action(widget) for widget in widgets))


class RunEnds:
    """When the last run of each session ended, so that the next one does not follow on its heels.

    Where the end of one run and the beginning of the next meet, parts of the page vanish for a moment and
    are made anew, and what a person does in them meanwhile is lost. So the browser gets what a run drew
    before another one begins. A run that begins later than BETWEEN_RUNS_S after the last one waits for
    nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[str, float] = {}

    def note(self, session_id: str) -> None:
        """Remember that a run of this session ended now."""
        now = time.monotonic()
        with self._lock:
            self._ended = {name: at for name, at in self._ended.items() if now - at < BETWEEN_RUNS_S}
            self._ended[session_id] = now

    def left_s(self, session_id: str) -> float:
        """Return for how many seconds the next run of this session has to wait, 0 for not at all."""
        with self._lock:
            ended = self._ended.get(session_id)
        return 0.0 if ended is None else max(0.0, ended + BETWEEN_RUNS_S - time.monotonic())

    def keep_apart(self, session_id: str) -> None:
        """Wait until the browser has what the last run of this session drew."""
        if self.left_s(session_id) == 0.0:
            return
        passed = threading.Event()
        call_on_event_loop(passed.set)
        passed.wait(DELIVERY_S)
        time.sleep(self.left_s(session_id))


_ends = RunEnds()


def install() -> None:
    """Make the sessions of this process run their scripts so."""
    set_runner(WholeRunner)
