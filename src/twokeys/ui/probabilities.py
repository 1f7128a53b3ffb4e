"""An answer's token probabilities on the screen: the heat map with the thermometer, and its actions.

Used where a column of a comparison or an answer of a chat is looked at closely.
"""

import json
from collections.abc import Callable

import streamlit as st

from twokeys.errors import TwoKeysError
from twokeys.types import Message, Sampling, TokenProb
from twokeys.ui import navigation, notices, state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.words import t
from twokeys.web.component import Action
from twokeys.web.component.lens import heatmap

MOST_WIDER = 40
"""Places of one answer whose wider candidates are kept in this tab."""


def draw(
    answer: Message,
    sampling: Sampling,
    *,
    fork: Callable[[int, int], object],
    widen: Callable[[int], TokenProb],
    key: str,
    after: Callable[[], None] | None = None,
) -> None:
    """Draw the heat map of an answer with stored probabilities, or say that it has none.

    fork(token, token_id) starts a version with another token; widen(token) asks for more candidates.
    after: called when a fork was started.
    """
    services = state.services()
    probs = services.conversations.probs(answer.id)
    if not probs:
        widgets.note(t("compare.lens.nothing"))
        return
    if navigation.plain():
        _plain(answer, probs, fork, key)
        return
    widened = state.TabValue[dict[int, TokenProb]](f"wider_{answer.id}", {})
    wider = widened.get()

    def done(action: Action) -> None:
        token = action.data.get("token")
        if not isinstance(token, int) or not 0 <= token < len(probs):
            return
        try:
            if action.type == "fork" and isinstance(action.data.get("candidate"), int):
                fork(token, int(action.data["candidate"]))
                if after is not None:
                    after()
            elif action.type == "widen":
                latest = list(wider.items())[-MOST_WIDER + 1 :]
                widened.set({**dict(latest), token: widen(token)})
        except (TwoKeysError, TimeoutError) as error:
            own_error = error if isinstance(error, TwoKeysError) else None
            if own_error is not None:
                notices.tell_error(own_error)
            else:
                notices.tell(notices.Notice(t("compare.lens.slow"), kind="error"))

    heatmap(
        probs,
        sampling=sampling,
        language=words.language(),
        key=key,
        wider={token: prob.alternatives for token, prob in wider.items()},
        fork=True,
        widen=True,
        unsupported=answer.provenance.unsupported,
        on_action=done,
    )


def _plain(answer: Message, probs: list[TokenProb], fork: Callable[[int, int], object], key: str) -> None:
    """The same without our component: the least sure tokens as a list, each with its alternatives."""
    unsure = sorted(range(len(probs)), key=lambda number: probs[number].logprob)[:10]
    for number in sorted(unsure):
        prob = probs[number]
        others = [
            alternative
            for alternative in prob.alternatives
            if alternative.token_id != prob.token_id and alternative.text.strip()
        ]
        widgets.html(
            f'<p class="tk-note">{number + 1}: <b>{escape(json.dumps(prob.text, ensure_ascii=False))}</b></p>'
        )
        for other in others[:3]:
            st.button(
                f"{json.dumps(other.text, ensure_ascii=False)}",
                key=f"{key}_fork_{number}_{other.token_id}",
                on_click=_fork_plain,
                args=(fork, number, other.token_id),
                type="tertiary",
            )


def _fork_plain(fork: Callable[[int, int], object], token: int, token_id: int) -> None:
    try:
        fork(token, token_id)
    except TwoKeysError as error:
        notices.tell_error(error)
