"""Which pages, slides, sheets or headings of the attached files go along, and whether they fit.

Drawn inside a dialog. Each choice is kept at once; nothing is sent here.
"""

from dataclasses import replace

import streamlit as st

from twokeys.core.context import ContextPlan
from twokeys.core.draft_files import DraftDocument
from twokeys.documents.document import Passage, parse_ranges
from twokeys.errors import TwoKeysError
from twokeys.ui import attachments, state, typed_form, widgets
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.words import t

MOST_TICKS = 150
"""A file of more passages is chosen from by their numbers alone."""
CONTEXT_STEP = 1024


def plan_of(conversation_id: str, text: str) -> ContextPlan:
    """Return what a message with the files that wait for it would need."""
    services = state.services()
    documents = [draft.document for draft in services.draft_files.waiting(conversation_id)]
    return typed_form.plan(conversation_id, text, documents)


def draw(conversation_id: str, plan: ContextPlan) -> None:
    """Draw the meter and the files to choose from."""
    meter(plan)
    waiting = state.services().draft_files.waiting(conversation_id)
    for draft in waiting:
        _file(conversation_id, draft, plan, alone=len(waiting) == 1)


def meter(plan: ContextPlan) -> None:
    """Draw how full the context would be."""
    context = max(plan.context, 1)
    used, coming = plan.prompt_tokens / context, plan.max_new_tokens / context
    line = t(
        "chat.context.line",
        used=("" if plan.exact else "≈ ") + count_text(plan.prompt_tokens),
        context=count_text(plan.context),
        coming=count_text(plan.max_new_tokens),
    )
    over = plan.prompt_tokens + plan.max_new_tokens - plan.context
    kind = "" if plan.fits else " full"
    if not plan.fits:
        line = f"{line} · {t('chat.pages.over', tokens=count_text(over))}"
    bar = widgets.meter(used, coming, label=line)
    with st.container(key="pages_meter"):
        widgets.html(f'<div class="tk-context{kind}" role="status">{bar}<span>{escape(line)}</span></div>')


def draw_larger_context(plan: ContextPlan) -> None:
    """Offer a context that is large enough, where memory allows it."""
    services = state.services()
    memory, spec = services.memory_plan(), services.engines.worker_spec()
    if plan.fits or memory is None or spec is None:
        return
    needed = plan.prompt_tokens + plan.max_new_tokens
    context = -(-needed // CONTEXT_STEP) * CONTEXT_STEP
    context = min(context, max(memory.safe_context, needed))
    if not plan.context < context <= memory.safe_context:
        return
    if st.button(
        t("chat.pages.larger", context=count_text(context)),
        key="pages_larger",
        icon=":material/open_in_full:",
        width="stretch",
        help=t("chat.pages.larger_note"),
    ):
        try:
            decided = services.memory.overrides(spec.model_name)
            services.decide_memory(replace(decided, context=context))
        except TwoKeysError as error:
            widgets.error(error)
            return
        services.draft_files.warm_up()
        st.rerun()


# --- one file -------------------------------------------------------------------------------------------


def _file(conversation_id: str, draft: DraftDocument, plan: ContextPlan, *, alone: bool) -> None:
    files = state.services().draft_files
    tokens = files.passage_tokens(draft.whole)
    chosen = {passage.number for passage in draft.document.passages}
    with st.container(key=f"card_pages_{draft.id}"):
        head = f"{escape(draft.whole.name)} <small>{escape(attachments.pages_text(draft))}</small>"
        widgets.html(f'<div class="tk-pages"><b>{head}</b></div>')
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"by_{draft.id}"):
            key = f"pages_ranges_{draft.id}"
            state.show_value(key, draft.document.numbers)
            st.text_input(
                t("chat.pages.ranges"),
                key=key,
                placeholder="1-3,7",
                on_change=_ranges_changed,
                args=(draft, key),
            )
            st.button(
                t("chat.pages.all"),
                key=f"pages_all_{draft.id}",
                on_click=files.choose,
                args=(draft.id, [passage.number for passage in draft.whole.passages]),
            )
            if alone:
                first = _first_fitting(draft, tokens, plan)
                st.button(
                    t("chat.pages.first", count=len(first)),
                    key=f"pages_first_{draft.id}",
                    on_click=files.choose,
                    args=(draft.id, first),
                    disabled=not first,
                )
        if draft.whole.total > MOST_TICKS:
            widgets.note(t("chat.pages.too_many", count=draft.whole.total))
            return
        with st.container(
            height=300 if draft.whole.total > 8 else "content", key=f"ticks_{draft.id}", gap=None
        ):
            for passage, count in zip(draft.whole.passages, tokens, strict=True):
                _tick(draft, passage, count, ticked=passage.number in chosen)


def _tick(draft: DraftDocument, passage: Passage, tokens: int, *, ticked: bool) -> None:
    key = f"page_{draft.id}_{passage.number}"
    state.show_value(key, ticked)
    name = t(f"chat.pages.unit.{draft.whole.unit}", number=passage.number)
    title = f" · {markdown_label(passage.title[:70])}" if passage.title else ""
    cost = t("chat.attach.tokens", tokens=count_text(tokens)) if passage.text else t("chat.pages.no_text")
    st.checkbox(f"{name}{title} :gray[{cost}]", key=key, on_change=_ticked, args=(draft, passage.number, key))


def _ticked(draft: DraftDocument, number: int, key: str) -> None:
    numbers = {passage.number for passage in draft.document.passages}
    numbers = numbers | {number} if state.value_of(key) else numbers - {number}
    state.services().draft_files.choose(draft.id, sorted(numbers))


def _ranges_changed(draft: DraftDocument, key: str) -> None:
    """Take the pages that were typed; what is no list of pages leaves the choice as it is."""
    typed = str(state.value_of(key) or "").strip()
    numbers = parse_ranges(typed) if typed else ()
    if numbers is not None:
        there = {passage.number for passage in draft.whole.passages}
        state.services().draft_files.choose(draft.id, [number for number in numbers if number in there])


def _first_fitting(draft: DraftDocument, tokens: tuple[int, ...], plan: ContextPlan) -> list[int]:
    """Return the first passages that fit beside everything else, by their own tokens."""
    now = dict(zip((passage.number for passage in draft.whole.passages), tokens, strict=True))
    others = plan.prompt_tokens - sum(now[passage.number] for passage in draft.document.passages)
    room = plan.context - plan.max_new_tokens - others
    first: list[int] = []
    for number, count in now.items():
        room -= count + 4  # the blank line between two of them
        if room < 0:
            break
        first.append(number)
    return first
