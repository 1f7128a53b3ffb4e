"""The transcript: the whole conversation as one browser component, live text included.

Python gives it the stored messages; the browser merges them with the live job of the same topic,
which it hears over the WebSocket of `web/live.py`. Nothing here stores or generates anything.

Message dictionaries (only `id`, `role` and `content` must be there):

    id                str
    role              "user" | "assistant"
    content           str, Markdown for answers, plain text for questions
    state             "queued" | "streaming" | "done" | "interrupted" | "failed"   (default "done")
    finish_reason     one of types.FinishReason, or None
    version, versions int, int      drawn as ‹ 1/2 › when versions > 1
    excluded          bool          the turn is left out of the prompt: drawn dimmed, with a chip
    job               str | None    id of the job that is queued or writing, if there is one
    usage             {"prompt_tokens", "completion_tokens", "cached_tokens"} | None
    timings           {"ttft_s", "total_s", "tok_per_s", …} | None
    max_new_tokens    int | None    named in the banner of a cut answer
    context           int | None    named in the banner when the context was full
    error             {"code", "message", "hint"} | None
    ways              bool          it did not fit: the banner offers what can be done
    unanswered        bool          a question at the end whose answer was deleted: offers to answer it
    recover           bool          memory ran out: the banner offers recovery
    guard             [{"kind", "level", "at_token", "at_char", "data"}]   level "note"|"warn"|"stop"
    decay             {"series": [[at_char, rep, new, pad]], "downhill_at"}    drawn as a small line
    removed           [str]         what the guard cut off, by part; shown folded
    changed           [{"name", "before", "after"}]   what “continue differently” changed
    tags              [str]         small quiet chips in the footer ("temperature 0.7", "model …")
    files             [{"name", "note"}]   the documents before a question
    structured        {"columns", "verdict", "cut", "files", "gather"} | None   the answer was asked for in a
                      form. columns: of a table ([str]), None for other JSON. verdict: {"state", "text"} on
                      whether it is valid. cut: what its banner says. files: kinds of downloads. gather: other
                      answers have rows too
    probs             reserved for per-token probabilities

`message_view` makes such a dictionary of a stored `types.Message`.

Options (all may be left out):

    lang              "zh" | "en"; becomes <html lang>
    earlier           int, how many older messages are not in the list: draws "show earlier (n)"
    resets            [{"after": message id, "kept": bool}]: where the model's state was cleared and whether
                      the model still reads what stands above; "" draws the mark above the first message
    found             {"message", "words", "token"}: brought into view and marked, once for each token
    max_width         CSS length of the reading column, default "48rem"
    actions           {"user": [...], "assistant": [...]}: which buttons, in order, of
                      copy, edit, delete / copy, speak, regenerate, continue, branch, compare, details,
                      delete
    shortcuts         bool, Esc, and ↑ in an empty message box (default True)

What a person does comes back as an `Action`. `type` and its further fields:

    regenerate, continue, continue_differently, delete, details, branch, compare    message
    recover, recover_steps                                    message, after memory ran out
    ways                                                      message that did not fit into the context
    gather                                                    message: all rows of its conversation
    answer                                                    message: a question whose answer was deleted
    history_keep, history_drop                                message that a reset stands after
    edit              message, text
    version           message, step (-1 or +1), version (the number wanted)
    cancel            message, job          a queued message; the job is already told to stop
    stop              message, job          only when the live connection is down, else stopped at once
    earlier           –
    refresh           reason ("done" | "changed" | "unknown")   the stored messages are newer: read again
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import streamlit as st

from twokeys.i18n import catalogue
from twokeys.types import Message
from twokeys.web.streamlit_seams import (
    BidiComponentManager,
    ComponentConfig,
    ComponentManifest,
    get_bidi_component_manager,
)

NAME = "twokeys.transcript"
GUARD_TEXTS = "guard."
_USAGE = ("prompt_tokens", "completion_tokens", "cached_tokens")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person did in the transcript; see the module's docstring for the types."""

    type: str
    message: str | None = None
    text: str | None = None
    job: str | None = None
    step: int = 0
    version: int | None = None
    reason: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def transcript(
    messages: Sequence[Mapping[str, object]],
    *,
    topic: str,
    texts: Mapping[str, str],
    options: Mapping[str, object] | None = None,
    key: str,
    on_action: Callable[[Action], None] | None = None,
) -> None:
    """Draw the conversation.

    topic: the live topic to listen to (the conversation's id). texts: `component_texts(language)`.
    on_action runs before the script, like a widget's callback, once for each thing a person did.
    """

    data = live_data(topic, texts, options) | {"messages": [dict(message) for message in messages]}
    draw_component("transcript", data, key=key, on_action=on_action)


def live_data(
    topic: str, texts: Mapping[str, str], options: Mapping[str, object] | None
) -> dict[str, object]:
    """Return what every component is given that listens to a live topic."""
    return {"topic": topic, "texts": dict(texts), "options": dict(options or {})}


def draw_component(
    name: str, data: Mapping[str, object], *, key: str, on_action: Callable[[Action], None] | None
) -> None:
    """Draw a packaged component; everything a person does in it goes to on_action, once and in order.

    Streamlit keeps only the latest of two triggers that meet before the script runs; so the browser
    sends along whatever it was not told that it was taken (frontend/src/mount.ts). The data stands in a
    list, as Streamlit loads pandas to look for tables among the values of a dictionary.
    """
    taken = f"{key}_acted"

    def forward() -> None:
        sent = st.session_state.get(key, {}).get("action")
        acted, actions = unpack(sent, st.session_state.get(taken))
        st.session_state[taken] = acted
        for action in actions:
            if on_action is not None:
                on_action(action)

    shown = {**data, "acted": st.session_state.get(taken)}
    renderer(name)(key=key, data=[shown], on_action_change=forward)


def unpack(sent: object, acted: object) -> tuple[Any, list[Action]]:
    """Return what is to be told as taken from now on, and the actions that are new, in order.

    sent: {"mount", "waiting": [{"number", "action"}]} from the browser; acted: {"mount", "number"} of
    the actions taken before, or None. Anything malformed is left out: a browser cannot be trusted.
    """
    if not isinstance(sent, Mapping) or not isinstance(sent.get("waiting"), list):
        return acted, []
    mount, last = str(sent.get("mount")), 0
    if isinstance(acted, Mapping) and acted.get("mount") == mount:
        last = int(acted["number"])
    new: list[Action] = []
    for message in sent["waiting"]:
        number = message.get("number") if isinstance(message, Mapping) else None
        if not isinstance(number, int) or number <= last:
            continue
        last = number
        action = parse_action(message.get("action"))
        if action is not None:
            new.append(action)
    return {"mount": mount, "number": last}, new


def parse_action(value: object) -> Action | None:
    """Read what the browser sent; anything malformed is None, as a browser cannot be trusted."""
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        return None

    def text(name: str) -> str | None:
        given = value.get(name)
        return given if isinstance(given, str) else None

    def number(name: str) -> int | None:
        given = value.get(name)
        return given if isinstance(given, int) and not isinstance(given, bool) else None

    return Action(
        type=value["type"],
        message=text("message"),
        text=text("text"),
        job=text("job"),
        step=number("step") or 0,
        version=number("version"),
        reason=text("reason"),
        data=dict(value),
    )


def message_view(message: Message) -> dict[str, Any]:
    """Return the dictionary of one stored message as the component draws it."""
    provenance = message.provenance
    view: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "content": message.own_words,
        "state": message.state,
        "finish_reason": message.finish_reason,
        "version": message.version,
        "versions": message.versions,
        "excluded": message.excluded,
        "error": dict(message.error) if message.error else None,
    }
    if message.role == "assistant":
        view |= {
            "usage": {name: getattr(provenance, name) for name in _USAGE},
            "timings": asdict(provenance.timings),
            "max_new_tokens": provenance.sampling_set.get("max_new_tokens"),
            "context": provenance.context,
            "guard": [event.to_dict() for event in provenance.guard],
            "decay": provenance.decay,
            "removed": list(provenance.removed_tails),
            "changed": [dict(change) for change in provenance.changed],
        }
    return view


def component_texts(language: str, area: str = "transcript") -> dict[str, str]:
    """Return every text of a component's area in one language, without the area's name.

    The guard's words come with them, under "guard.". Braces stay: the component fills them in the
    browser.
    """
    prefix = f"{area}."
    return {
        key.removeprefix(prefix): entry.get(language) or entry["en"]
        for key, entry in catalogue().items()
        if key.startswith((prefix, GUARD_TEXTS)) and not key.startswith(f"{GUARD_TEXTS}settings.")
    }


def declare(manager: BidiComponentManager) -> None:
    """Make the component known to a Streamlit that did not discover it.

    Streamlit finds packaged components through installed distributions only; from a plain
    checkout on the path there is none.
    """
    if manager.get_component_asset_root(NAME) is None:
        root = Path(str(files("twokeys")))
        manager.register_from_manifest(_manifest(), root)


@cache
def _manifest() -> ComponentManifest:
    declared = tomllib.loads(files("twokeys").joinpath("pyproject.toml").read_text(encoding="utf-8"))
    components = declared["tool"]["streamlit"]["component"]["components"]
    return ComponentManifest(
        name=declared["project"]["name"],
        version=declared["project"]["version"],
        components=[ComponentConfig.from_dict(entry) for entry in components],
    )


@cache
def renderer(name: str) -> Callable[..., Any]:
    """Return what draws one of the packaged components, by its name in twokeys/pyproject.toml."""
    declare(get_bidi_component_manager())
    return st.components.v2.component(f"twokeys.{name}", js=f"{name}.js", isolate_styles=True)
