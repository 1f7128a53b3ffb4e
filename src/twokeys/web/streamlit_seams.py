"""Every name of Streamlit that TwoKeys uses and Streamlit does not promise, checked before it is used.

Streamlit may rename what is private at any release; an override of a method that is no longer called would
then do nothing, in silence. `check` compares what is there with what we rely on and raises an error that
names the version. The names below can be imported from here, and nothing else of the package imports more
of Streamlit than `streamlit` itself, its errors and its test ids in style sheets.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twokeys.errors import StreamlitChanged

if TYPE_CHECKING:
    from streamlit.components.v2.component_manager import BidiComponentManager as BidiComponentManager
    from streamlit.components.v2.get_bidi_component_manager import (
        get_bidi_component_manager as get_bidi_component_manager,
    )
    from streamlit.components.v2.manifest_scanner import ComponentConfig as ComponentConfig
    from streamlit.components.v2.manifest_scanner import ComponentManifest as ComponentManifest
    from streamlit.proto.WidgetStates_pb2 import WidgetStates as WidgetStates
    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner as ScriptRunner
    from streamlit.runtime.state import SafeSessionState as SafeSessionState
    from streamlit.web.server.starlette.starlette_app import App as App


@dataclass(frozen=True, slots=True)
class Seam:
    """One thing we rely on.

    name: as it is imported from here, or a word for it. module, attribute: where Streamlit has it.
    used_by: a function of the same module that must use it by its last name, as an override or a
    replacement has an effect only then. takes: parameters we call it with. leaves: attributes that a
    function sets on its object.
    """

    name: str
    module: str
    attribute: str
    used_by: str = ""
    takes: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


_RUNNER = "streamlit.runtime.scriptrunner.script_runner"
_CONTAINERS = "streamlit.delta_generator_singletons"

SEAMS: tuple[Seam, ...] = (
    Seam("ScriptRunner", _RUNNER, "ScriptRunner"),
    Seam(
        "runner's parts",
        _RUNNER,
        "ScriptRunner.__init__",
        leaves=("_session_state", "_session_id", "_requests", "_pages_manager"),
    ),
    Seam("run", _RUNNER, "ScriptRunner._run_script", used_by="ScriptRunner._run_script_thread"),
    Seam(
        "request of a run",
        "streamlit.runtime.scriptrunner_utils.script_requests",
        "RerunData.__init__",
        takes=(
            "widget_states",
            "fragment_id",
            "fragment_id_queue",
            "is_fragment_scoped_rerun",
            "is_auto_rerun",
            "page_script_hash",
            "page_name",
            "query_string",
        ),
    ),
    Seam(
        "asking for a run",
        _RUNNER,
        "ScriptRunner.request_rerun",
        takes=("rerun_data",),
    ),
    Seam(
        "requests",
        "streamlit.runtime.scriptrunner_utils.script_requests",
        "ScriptRequests.__init__",
        leaves=("_lock", "_state", "_rerun_data"),
    ),
    Seam("page of a session", "streamlit.runtime.pages_manager", "PagesManager.current_page_script_hash"),
    Seam("address of a session", "streamlit.runtime.state", "SafeSessionState.query_params"),
    Seam(
        "giving way",
        _RUNNER,
        "ScriptRunner._maybe_handle_execution_control_request",
        used_by="ScriptRunner._enqueue_forward_msg",
    ),
    Seam(
        "runner of a session",
        "streamlit.runtime.app_session",
        "ScriptRunner",
        used_by="AppSession._create_scriptrunner",
    ),
    Seam("SafeSessionState", "streamlit.runtime.state", "SafeSessionState"),
    Seam(
        "state's parts",
        "streamlit.runtime.state",
        "SafeSessionState.__init__",
        takes=("state", "yield_callback"),
    ),
    Seam(
        "callbacks",
        "streamlit.runtime.state",
        "SafeSessionState.on_script_will_rerun",
        takes=("fresh_widget_states",),
    ),
    Seam("WidgetStates", "streamlit.proto.WidgetStates_pb2", "WidgetStates"),
    Seam(
        "action",
        "streamlit.runtime.scriptrunner_utils.script_requests",
        "_has_active_trigger_value",
        takes=("state",),
    ),
    Seam(
        "script gives up",
        "streamlit.runtime.scriptrunner_utils.script_run_context",
        "_fragment_callback_warning_suppressed.get",
    ),
    Seam("running server", "streamlit.runtime", "get_instance"),
    Seam("server's event loop", "streamlit.runtime.runtime", "Runtime._get_async_objs"),
    Seam("event loop", "streamlit.runtime.runtime", "AsyncObjects.eventloop"),
    Seam("open containers", _CONTAINERS, "context_dg_stack.set", takes=("value",)),
    Seam("first container", _CONTAINERS, "get_default_dg_stack_value"),
    Seam("App", "streamlit.web.server.starlette.starlette_app", "App"),
    Seam("options", "streamlit.web.bootstrap", "load_config_options", takes=("flag_options",)),
    Seam("BidiComponentManager", "streamlit.components.v2.component_manager", "BidiComponentManager"),
    Seam(
        "component's folder",
        "streamlit.components.v2.component_manager",
        "BidiComponentManager.get_component_asset_root",
    ),
    Seam(
        "component's entry",
        "streamlit.components.v2.component_manager",
        "BidiComponentManager.register_from_manifest",
    ),
    Seam(
        "get_bidi_component_manager",
        "streamlit.components.v2.get_bidi_component_manager",
        "get_bidi_component_manager",
    ),
    Seam("ComponentConfig", "streamlit.components.v2.manifest_scanner", "ComponentConfig.from_dict"),
    Seam("ComponentManifest", "streamlit.components.v2.manifest_scanner", "ComponentManifest"),
)
_BY_NAME = {seam.name: seam for seam in SEAMS}


def __getattr__(name: str) -> object:
    if name in _BY_NAME:
        owner = _BY_NAME[name].attribute.partition(".")[0]
        return getattr(_module(_BY_NAME[name]), owner)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check() -> None:
    """Raise StreamlitChanged, with the version, when Streamlit is not what we rely on."""
    for seam in SEAMS:
        check_seam(seam)
    page()


def check_seam(seam: Seam) -> None:
    """Raise StreamlitChanged when this one is missing, not used where it must be, or takes other things."""
    module = _module(seam)
    attribute = _attribute(module, seam, seam.attribute)
    last = seam.attribute.rpartition(".")[2]
    if seam.used_by and last not in _names_in(_attribute(module, seam, seam.used_by)):
        raise _changed(f"{seam.used_by} → {last}")
    taken = _names_taken(attribute)
    for name in seam.takes:
        if name not in taken:
            raise _changed(f"{seam.module}.{seam.attribute}({name})")
    set_there = _names_in(attribute) if seam.leaves else frozenset()
    for name in seam.leaves:
        if name not in set_there:
            raise _changed(f"{seam.module}.{seam.attribute} → {name}")


@cache
def page() -> bytes:
    """Return Streamlit's own page, which ours are made of.

    Raises StreamlitChanged when it is not where it was or has no head to put a script in.
    """
    import streamlit

    path = Path(streamlit.__file__).parent / "static" / "index.html"
    try:
        markup = path.read_bytes()
    except OSError as exc:
        raise _changed("static/index.html") from exc
    if b"<head>" not in markup:
        raise _changed("static/index.html: <head>")
    return markup


def load_late_modules() -> None:
    """Load what Streamlit loads with its first script and with the first widget that has an icon.

    They may stand elsewhere one day.
    """
    late = ("emojis", "material_icon_names", "runtime.scriptrunner.magic_funcs")
    for name in late:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"streamlit.{name}")


def look_around() -> None:
    """Let Streamlit find out where it runs, which it does at the first element of a process.

    It looks at the source of every module that is loaded; what it saw is remembered.
    """
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module("streamlit.env_util").is_repl()


def set_options(options: dict[str, object]) -> None:
    """Start Streamlit with these options."""
    from streamlit.web import bootstrap

    bootstrap.load_config_options(options)


def set_runner(runner: type["ScriptRunner"]) -> None:
    """Let the sessions of this process run their scripts with this class."""
    from streamlit.runtime import app_session

    app_session.ScriptRunner = runner  # type: ignore[attr-defined]


def script_gives_up() -> bool:
    """Whether the script itself asked to end here: by `st.rerun`, `st.switch_page` or `st.stop`."""
    from streamlit.runtime.scriptrunner_utils import script_run_context

    return script_run_context._fragment_callback_warning_suppressed.get()


def carries_action(widget: Any) -> bool:
    """Whether the state of a widget says that a person pressed it just now."""
    from streamlit.runtime.scriptrunner_utils import script_requests

    return script_requests._has_active_trigger_value(widget)


def leads_elsewhere(rerun_data: Any) -> bool:
    """Whether a request may ask for another page: none of a timer, a part of the page or an action does."""
    if rerun_data.fragment_id or rerun_data.fragment_id_queue or rerun_data.is_auto_rerun:
        return False
    states = rerun_data.widget_states
    return states is None or not any(carries_action(widget) for widget in states.widgets)


@contextlib.contextmanager
def asked(requests: Any) -> Iterator[Any]:
    """Hold a runner's requests while they are looked at."""
    with requests._lock:
        yield requests


def is_asked(requests: Any) -> bool:
    """Whether a run is asked for that has not begun."""
    from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

    return bool(requests._state == ScriptRequestType.RERUN)


def address(state: "SafeSessionState") -> str:
    """Return the query string that a session has now."""
    with state.query_params() as params:
        return urlencode(params._query_params, doseq=True)


def call_on_event_loop(callback: Callable[[], None]) -> None:
    """Call this on the server's event loop, after what is waiting there already."""
    from streamlit.runtime import get_instance

    get_instance()._get_async_objs().eventloop.call_soon_threadsafe(callback)


def close_containers() -> None:
    """Let what this thread draws next go into the page itself, whatever container was left open."""
    from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value

    context_dg_stack.set(get_default_dg_stack_value())


def _module(seam: Seam) -> ModuleType:
    try:
        return importlib.import_module(seam.module)
    except ImportError as exc:
        raise _changed(seam.module) from exc


def _attribute(module: ModuleType, seam: Seam, path: str) -> object:
    value: Any = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError as exc:
            raise _changed(f"{seam.module}.{path}") from exc
    return value


def _names_in(function: object) -> frozenset[str]:
    code = getattr(function, "__code__", None)
    return frozenset() if code is None else frozenset(code.co_names)


def _names_taken(function: object) -> frozenset[str]:
    code = getattr(function, "__code__", None)
    if code is None:
        return frozenset()
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def _changed(name: str) -> StreamlitChanged:
    import streamlit

    return StreamlitChanged(version=streamlit.__version__, name=name)
