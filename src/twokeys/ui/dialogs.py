"""The dialogs: a message that does not fit, how an answer came about, rename.

`draw_open` draws the one that was asked for with `notices.ask`. What a dialog needs it reads again
from the store, so that a stale dialog cannot act on old values.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import streamlit as st

from twokeys.core.compare.service import alternative
from twokeys.core.context import ContextPlan
from twokeys.core.guard import Change, describe, describe_changes
from twokeys.errors import TwoKeysError
from twokeys.types import Message, Provenance, Sampling
from twokeys.ui import (
    answer_form,
    attachments,
    changes,
    draft_line,
    drafts,
    engine_line,
    navigation,
    notices,
    page_choice,
    probabilities,
    prompts,
    recovery_steps,
    saved_presets,
    sharing,
    shortening,
    state,
    tag_form,
    typed_form,
    widgets,
    words,
)
from twokeys.ui.actions import attempt, send_or_ask_again
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t
from twokeys.units import duration_text

MEDIUM = frozenset({"details", "recover", "pages", "not_fit", "form", "fill_prompt", "shorten"})
"""The dialogs that need more room than a question."""
_WITH_PROMPT = state.TabValue[str | None]("details_prompt", None)
_WITH_PROBS = state.TabValue[bool]("details_probs", False)


def draw_open() -> None:
    """Draw the dialog that is open, if one is."""
    question = notices.question()
    if question is None:
        return
    bodies: dict[str, Callable[..., None]] = {
        "not_fit": _not_fit,
        "pages": _pages,
        "details": _details,
        "rename": _rename,
        "share": sharing.draw_dialog,
        "shorten": shortening.draw_dialog,
        "tags": _tags,
        "fill_prompt": prompts.draw_fill,
        "recover": _recover,
        "form": answer_form.draw_dialog,
        "gather": _gather,
        "replace_preset": saved_presets.draw_question,
    }
    body = bodies.get(question.name)
    if body is None:
        notices.close_question()
        return
    width: Literal["small", "medium", "large"]
    width = "medium" if question.name in MEDIUM else "small"
    if question.name == "gather" or (question.name == "details" and _WITH_PROBS.get()):
        width = "large"

    def dismissed() -> None:
        if question.name == "not_fit" and question.params.get("again") is None:
            drafts.put_back(str(question.params["text"]))
        notices.close_question()

    st.dialog(t(f"chat.{question.name}.title"), width=width, on_dismiss=dismissed)(body)(**question.params)


def _not_fit(
    conversation_id: str, text: str, instead_of: str | None = None, again: str | None = None
) -> None:
    """instead_of: the question that the text is to replace. again: the answer to be written anew."""
    services = state.services()
    new = instead_of is None and again is None
    try:
        waiting = services.draft_files.waiting(conversation_id) if new else []
        documents = [draft.document for draft in waiting]
        if new:
            plan = typed_form.plan(conversation_id, text, documents)
        else:
            plan = services.answers.plan(conversation_id, text, instead_of=instead_of, documents=documents)
    except TwoKeysError as error:
        widgets.error(error)
        return
    if waiting:
        _too_long(conversation_id, text, plan)
        return
    _needs_of(plan)
    if plan.shorten_to is not None and _shorten_wanted(plan.shorten_to):
        changes.set_by_hand(conversation_id, "max_new_tokens", plan.shorten_to)
        _send_and_close(conversation_id, text, instead_of, again)
    if plan.drop_to_fit and _drop_wanted(plan):
        attempt(services.conversations.exclude, conversation_id, list(plan.drop_to_fit))
        _send_and_close(conversation_id, text, instead_of, again)
    if plan.history_tokens and st.button(
        t("chat.not_fit.summary"), key="not_fit_summary", icon=":material/compress:", width="stretch"
    ):
        if again is None:
            drafts.put_back(text)
        notices.ask("shorten", conversation_id=conversation_id)
        st.rerun()
    alone = plan.prompt_tokens - plan.history_tokens + plan.max_new_tokens <= plan.context
    if (
        plan.history_tokens
        and alone
        and st.button(
            t("chat.not_fit.new"), key="not_fit_new", icon=":material/edit_square:", width="stretch"
        )
    ):
        settings = services.conversations.get(conversation_id).settings
        fresh = services.conversations.new(settings=settings)
        if instead_of is not None:
            attempt(services.draft_files.ask_again, services.conversations.message(instead_of), fresh.id)
        navigation.open_conversation(fresh.id)
        _send_and_close(fresh.id, text)
    if plan.shorten_to is None and not plan.drop_to_fit and not alone:
        widgets.note(t("chat.not_fit.too_long"))
    if st.button(t("chat.not_fit.back"), key="not_fit_back", type="tertiary", width="stretch"):
        if again is None:
            drafts.put_back(text)
        notices.close_question()
        st.rerun()


def _needs_of(plan: ContextPlan) -> None:
    """Draw what the message needs and what there is."""
    over = plan.prompt_tokens + plan.max_new_tokens - plan.context
    rows = [
        (t("chat.not_fit.prompt"), count_text(plan.prompt_tokens)),
        (t("chat.not_fit.answer"), count_text(plan.max_new_tokens)),
        (t("chat.not_fit.context"), count_text(plan.context)),
        (t("chat.not_fit.over"), count_text(over)),
    ]
    widgets.html(f'<p class="tk-lead">{escape(t("chat.not_fit.lead"))}</p>{widgets.facts(rows)}')


def _shorten_wanted(tokens: int) -> bool:
    """Draw the way out by a shorter answer; return whether a person takes it."""
    wanted = st.button(
        t("chat.not_fit.shorten", tokens=tokens),
        key="not_fit_shorten",
        icon=":material/compress:",
        type="primary",
        width="stretch",
    )
    widgets.note(t("chat.not_fit.shorten_note"))
    return wanted


def _drop_wanted(plan: ContextPlan) -> bool:
    """Draw the way out by leaving the oldest turns out, and which; return whether a person takes it."""
    gone = set(plan.drop_to_fit)
    dropped = [turn for turn in plan.turns if gone & {turn.message_id, *turn.message_ids}]
    wanted = st.button(
        t("chat.not_fit.drop", count=len(dropped)),
        key="not_fit_drop",
        icon=":material/playlist_remove:",
        width="stretch",
    )
    rows = "".join(
        f"<li>{escape(turn.title)} <span class='tk-under'>{count_text(turn.tokens)}</span></li>"
        for turn in dropped
    )
    widgets.html(f'<div class="tk-note">{escape(t("chat.not_fit.drop_note"))}<ul>{rows}</ul></div>')
    return wanted


def _too_long(conversation_id: str, text: str, plan: ContextPlan) -> None:
    """A message whose files do not fit: which pages go along, or what else makes room."""
    services = state.services()
    widgets.html(f'<p class="tk-lead">{escape(t("chat.pages.lead"))}</p>')
    page_choice.draw(conversation_id, plan)
    page_choice.draw_larger_context(plan)
    if plan.shorten_to is not None and _shorten_wanted(plan.shorten_to):
        changes.set_by_hand(conversation_id, "max_new_tokens", plan.shorten_to)
        _send_and_close(conversation_id, text)
    if plan.drop_to_fit and _drop_wanted(plan):
        attempt(services.conversations.exclude, conversation_id, list(plan.drop_to_fit))
        _send_and_close(conversation_id, text)
    with st.container(horizontal=True, horizontal_alignment="distribute", key="pages_end"):
        if st.button(t("chat.not_fit.back"), key="not_fit_back", type="tertiary"):
            drafts.put_back(text)
            notices.close_question()
            st.rerun()
        if st.button(
            t("chat.pages.send"),
            key="pages_send",
            type="primary",
            icon=":material/send:",
            disabled=not plan.fits,
        ):
            _send_and_close(conversation_id, text)


def _pages(conversation_id: str) -> None:
    """Which pages of the files go along, before anything was asked."""
    text = drafts.seen(conversation_id)
    try:
        plan = page_choice.plan_of(conversation_id, text)
    except TwoKeysError as error:
        widgets.error(error)
        return
    page_choice.draw(conversation_id, plan)
    page_choice.draw_larger_context(plan)
    with st.container(key="pages_end"):
        if st.button(t("chat.pages.done"), key="pages_done", type="primary", width="stretch"):
            notices.close_question()
            st.rerun()


def _gather(conversation_id: str) -> None:
    from twokeys.ui import structured_plain  # it reads Markdown, which the first page does without

    structured_plain.draw_gathered(conversation_id)


def _send_and_close(
    conversation_id: str, text: str, instead_of: str | None = None, again: str | None = None
) -> None:
    try:
        send_or_ask_again(conversation_id, text, instead_of, again)
    except TwoKeysError as error:
        if again is None:
            drafts.put_back(text)
        notices.tell_error(error)
    notices.close_question()
    st.rerun()


def _details(message_id: str, comparison: tuple[str, int] | None = None) -> None:
    """comparison: id and number of the column that the answer is, when it is one."""
    try:
        message = state.services().conversations.message(message_id)
    except TwoKeysError as error:
        widgets.error(error)
        return
    if not message.provenance:
        widgets.note(t("chat.details.nothing"))
        return
    widgets.html(widgets.facts(_provenance_rows(message), pairs=2))
    ignored = message.provenance.unsupported
    if ignored:
        widgets.note(t("chat.details.unsupported", names=", ".join(map(str, ignored))))
    if message.role == "assistant":
        _sent(message)
    _guard_events(message)
    widgets.note(t("chat.details.replay_note"))
    if st.button(
        t("chat.details.replay"),
        key="details_replay",
        icon=":material/replay:",
        width="stretch",
        type="primary",
    ):
        if comparison is None:
            attempt(state.services().answers.replay, message_id)
        else:
            attempt(lambda: state.services().compare.rerun(*comparison, same_seed=True))
        notices.close_question()
        st.rerun()
    if comparison is None:
        sharing.draw_answer(message)
        _probabilities(message)
    with st.expander(t("chat.details.json"), key="details_json_box"):
        st.code(_json(message), language="json", height=260)


def _sent(message: Message) -> None:
    """Name the documents that the model read, each to be had again, and show the prompt word for word."""
    services = state.services()
    documents = message.provenance.documents
    if documents:
        widgets.section(t("chat.details.documents"))
    for number, document in enumerate(documents):
        name, sha256 = str(document.get("name")), str(document.get("sha256"))
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"sent_{number}"):
            note = t(
                "chat.details.document",
                pages=attachments.sent_pages(document),
                tokens=count_text(int(document.get("tokens") or 0)),
                sha256=sha256[:16],
            )
            widgets.html(f'<div class="tk-note"><b>{escape(name)}</b> {escape(note)}</div>')
            try:
                data = services.draft_files.original(sha256)
            except TwoKeysError:
                continue  # it came in an export without its contents
            st.download_button(
                t("chat.details.original"),
                data,
                file_name=name,
                key=f"sent_file_{number}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
    state.show_value("details_sent", _WITH_PROMPT.get() == message.id)
    if st.toggle(t("chat.details.sent"), key="details_sent", on_change=_toggle_prompt, args=(message.id,)):
        try:
            prompt = services.answers.sent_prompt(message.id)
        except TwoKeysError as error:
            widgets.error(error)
            return
        for entry in prompt:
            widgets.note(t(f"chat.details.sent_by.{entry.role}"))
            st.code(
                entry.content,
                language=None,
                wrap_lines=True,
                height=240 if len(entry.content) > 900 else "content",
            )


def _toggle_prompt(message_id: str) -> None:
    _WITH_PROMPT.set(message_id if state.value_of("details_sent") else None)


def _guard_events(message: Message) -> None:
    """Draw what the guard noticed, what "continue differently" changed, and what was cut off."""
    language = words.language()
    rows = []
    for event in message.provenance.guard:
        sentence = describe(event, language)
        line = t(
            "guard.events.line",
            level=t(f"guard.events.levels.{event.level}"),
            token=event.at_token,
            title=sentence.title,
        )
        rows.append(f"<li>{escape(line)}<br><span class='tk-under'>{escape(sentence.detail)}</span></li>")
    changed = [Change(**change) for change in message.provenance.changed]
    if changed:
        rows.append(f"<li>{escape(describe_changes(changed, language))}</li>")
    with st.container(key="details_guard"):
        widgets.section(t("guard.events.heading"))
        if rows:
            widgets.html(f'<div class="tk-note"><ul>{"".join(rows)}</ul></div>')
        else:
            widgets.note(t("guard.events.none"))
        for number, part in enumerate(message.provenance.parts):
            if part.removed_tail:
                with st.expander(t("guard.events.removed"), key=f"details_removed_{number}"):
                    st.text(part.removed_tail)


def _probabilities(message: Message) -> None:
    """Offer the heat map of an answer; one written without probabilities is read once more for it."""
    services = state.services()
    probs = services.conversations.probs(message.id)
    if not probs:
        _offer_reading(message)
        return
    state.show_value("details_lens", _WITH_PROBS.get())
    wanted = st.toggle(
        t("compare.lens.open"),
        key="details_lens",
        on_change=lambda: _WITH_PROBS.set(bool(state.value_of("details_lens"))),
    )
    if not wanted:
        return

    def fork(token: int, token_id: int) -> None:
        services.answers.fork(message.id, token, alternative(probs, token, token_id))

    asked = message.provenance.sampling_set
    probabilities.draw(
        message,
        Sampling.from_dict(asked) if asked else Sampling(),
        fork=fork,
        widen=lambda token: services.next_token.distribution(message.id, token),
        key=f"details_heat_{message.id}",
        after=notices.close_question,
    )


def _offer_reading(message: Message) -> None:
    services = state.services()
    if not services.probabilities.can_read(message.id):
        return
    if st.button(
        t("drafts.read.button"),
        key="details_read",
        icon=":material/gradient:",
        help=t("drafts.read.help"),
        width="stretch",
    ):
        with st.spinner(t("drafts.read.running")):
            attempt(services.probabilities.read, message.id)
        _WITH_PROBS.set(bool(services.conversations.probs(message.id)))
        st.rerun(scope="fragment")


def _json(message: Message) -> str:
    return json.dumps(message.provenance.to_dict(), ensure_ascii=False, indent=2, default=str)


def _provenance_rows(message: Message) -> list[tuple[str, str]]:
    provenance = message.provenance
    used, asked = provenance.sampling_used, provenance.sampling_set
    timings, engine = provenance.timings, provenance.engine
    language = words.language()
    rows = [
        (t("chat.details.model"), provenance.model or "–"),
        (t("chat.details.sha256"), (provenance.model_sha256 or "–")[:16]),
        (t("chat.details.engine"), " ".join(str(engine.get(k) or "") for k in ("kind", "build")).strip()),
        (t("chat.details.tokens"), _tokens(provenance)),
    ]
    if where := engine_line.ran_on(engine):
        rows.append((t("chat.details.ran_on"), where))
    if timings.ttft_s is not None:
        rows.append((t("chat.details.ttft"), duration_text(timings.ttft_s, language)))
    if timings.tok_per_s:
        rows.append((t("chat.details.speed"), f"{timings.tok_per_s:.1f} tok/s"))
    if drafts := draft_line.describe(provenance):
        rows.append((t("drafts.detail.label"), drafts))
    if share := engine_line.card_share(engine):
        rows.append((t("chat.details.card_share"), share))
    if message.finish_reason:
        rows.append((t("chat.details.finish"), t(f"chat.finish.{message.finish_reason}")))
    if steps := provenance.recovery:
        rows.append((t("chat.details.recovery"), " · ".join(map(recovery_steps.describe_taken, steps))))
    for name, value in asked.items():
        shown = _value(used.get(name, value), value)
        if name in provenance.unsupported and value is not None:
            shown = t("chat.details.not_used", asked=_value(value, value))
        rows.append((t(f"sidebar.parameter.{name}.label"), shown))
    if provenance.seed is not None and asked.get("seed") is None:
        rows.append((t("chat.details.seed_drawn"), str(provenance.seed)))
    if provenance.system_prompt:
        rows.append((t("chat.details.system_prompt"), provenance.system_prompt))
    if provenance.started_at:
        at = datetime.fromtimestamp(provenance.started_at)
        rows.append((t("chat.details.at"), at.strftime("%Y-%m-%d %H:%M:%S")))
    return rows


def _tokens(provenance: Provenance) -> str:
    return t(
        "chat.details.tokens_value",
        prompt=count_text(provenance.prompt_tokens or 0),
        cached=count_text(provenance.cached_tokens or 0),
        answer=count_text(provenance.completion_tokens or 0),
    )


def _value(used: Any, asked: Any) -> str:
    def text(value: object) -> str:
        if value is None or value == [] or value == ():
            return "–"
        if isinstance(value, float):
            return f"{value:.4g}"
        return ", ".join(map(repr, value)) if isinstance(value, list | tuple) else str(value)

    same = used == asked or (isinstance(used, float) and asked is not None and abs(used - asked) < 1e-5)
    return (
        text(asked)
        if same or asked is None
        else t("chat.details.differs", used=text(used), asked=text(asked))
    )


def _recover(message_id: str, conversation_id: str) -> None:
    """The recovery steps of a failed answer, taken by hand; then the answer goes on."""
    recovery_steps.draw(conversation_id, message_id, place="dialog")
    if st.button(
        t("memory.steps.go_on"),
        key="recover_go_on",
        icon=":material/play_arrow:",
        type="primary",
        width="stretch",
    ):
        attempt(state.services().recovery.go_on, message_id)
        notices.close_question()
        st.rerun()


def _rename(conversation_id: str) -> None:
    try:
        old = state.services().conversations.get(conversation_id).title
    except TwoKeysError as error:
        widgets.error(error)
        return
    with st.form("rename_form", border=False):  # Enter in the field saves
        title = st.text_input(t("chat.rename.label"), value=old, key="rename_title", max_chars=120)
        saved = st.form_submit_button(t("ui.save"), key="rename_save", type="primary", width="stretch")
    if saved:
        if title and title.strip() and title.strip() != old:
            attempt(state.services().conversations.set_title, conversation_id, title.strip())
        notices.close_question()
        st.rerun()


def _tags(conversation_id: str) -> None:
    conversations = state.services().conversations
    try:
        has = list(conversations.get(conversation_id).tags)
    except TwoKeysError as error:
        widgets.error(error)
        return
    tags = tag_form.draw("tags", has)
    if tags is not None:
        attempt(conversations.tag, conversation_id, tags)
        notices.close_question()
        st.rerun()
