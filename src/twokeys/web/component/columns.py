"""Answers side by side as one browser component: all columns listen to one live topic.

Python gives it the stored answers; the browser merges them with the jobs of the topic, as the
transcript does. Knows nothing of comparisons: a column is a name, a few facts and a message.

A column is {"name", "facts": [str], "kept": bool, "message": {…}}; the message as in the transcript.
What a person does comes back as an `Action`: those of the transcript for the buttons named in
options["actions"], and "keep" and "heat" with `message`.
"""

from collections.abc import Callable, Mapping, Sequence

from twokeys.web.component import Action, draw_component, live_data


def columns(
    shown: Sequence[Mapping[str, object]],
    *,
    topic: str,
    texts: Mapping[str, str],
    options: Mapping[str, object] | None = None,
    key: str,
    on_action: Callable[[Action], None] | None = None,
) -> None:
    """Draw the columns. See `transcript`."""
    data = live_data(topic, texts, options) | {"columns": [dict(column) for column in shown]}
    draw_component("columns", data, key=key, on_action=on_action)
