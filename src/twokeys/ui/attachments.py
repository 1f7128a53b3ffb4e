"""Files beside the message box: chosen, dropped or pasted, each a chip with what it takes, removable.

What they are, what of them goes along and what they cost is decided in core.draft_files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import streamlit as st

from twokeys.core.draft_files import Counted, DraftDocument
from twokeys.documents import Document
from twokeys.documents.document import Unit
from twokeys.documents.limits import MAX_BYTES
from twokeys.documents.reader import problem_of
from twokeys.errors import TwoKeysError
from twokeys.types import Message, Provenance
from twokeys.ui import drafts, notices, state, widgets, words
from twokeys.ui.format import count_text, escape, markdown_label
from twokeys.ui.words import t
from twokeys.units import bytes_text, duration_text
from twokeys.web.component import Action
from twokeys.web.component.draft import FileTarget

LONG_PASTE_CHARS = 4000
"""From here on a pasted text is offered to become a file."""
CHOOSER = "attach_files"
COMPARE_CHOOSER = "compare_files"
RECOUNT_S = 1.0

_PASTED = state.TabValue[tuple[str, str] | None]("pasted", None)


@dataclass(frozen=True, slots=True)
class FileRefusal:
    """Why a file does not go along with the next message of a conversation (None: the next comparison)."""

    conversation_id: str | None
    text: str
    hint: str


_REFUSALS = state.TabValue[tuple[FileRefusal, ...]]("refusals", ())
"""Until they are dismissed or a message is sent: other files and the engine's start draw the page anew."""


def for_browser() -> FileTarget:
    """Return where the browser finds the chooser, and what it need not upload."""
    return FileTarget(f'[class*="st-key-{CHOOSER}"] input[type="file"]', MAX_BYTES, LONG_PASTE_CHARS)


def draw_chooser(conversation_id: str | None, name: str = CHOOSER) -> bool:
    """Draw the button that takes files; those it was given become chips.

    Return whether there were any: the page is to be drawn anew then, once it has heard what else was done in
    the same moment, such as sending the message.
    """
    uploads = st.file_uploader(
        t("chat.attach.choose"),
        accept_multiple_files=True,
        key=state.key_of(name),
        label_visibility="collapsed",
        help=t("chat.attach.help"),
    )
    if not uploads:
        return False
    with st.spinner(t("chat.attach.reading")):
        for upload in uploads:
            add(conversation_id, upload.name, upload.getvalue())
    state.renew(name)
    return True


def add(conversation_id: str | None, name: str, data: bytes) -> bool:
    """Let a file go along with the next message; a person is told why one cannot."""
    files = state.services().draft_files
    try:
        draft = files.add(conversation_id, name, data)
    except TwoKeysError as error:
        _refuse(conversation_id, error)
        return False
    if draft.whole.unit == "page" and draft.whole.without_text:
        blank = ", ".join(map(str, draft.whole.without_text))
        notices.tell(notices.Notice(t("chat.attach.without_text", name=name, pages=blank)))
    files.warm_up()
    return True


def documents(conversation_id: str | None) -> list[Document]:
    """Return what goes along with the next message, files of which nothing is chosen left out."""
    waiting = state.services().draft_files.waiting(conversation_id)
    return [draft.document for draft in waiting if draft.document.passages]


def material_tokens(conversation_id: str) -> int:
    """Return the tokens of what goes along with the next message, 0 for nothing."""
    return state.services().draft_files.count(documents(conversation_id)).tokens


def counted(waiting: Sequence[DraftDocument]) -> Counted:
    """Return what is to be sent with its tokens; the engine is started for that. Raises what it raises."""
    chosen = [draft.document for draft in waiting if draft.document.passages]
    if not chosen:
        return Counted((), exact=True)
    with st.spinner(t("chat.attach.counting")):
        return state.services().draft_files.count(chosen, start=True)


# --- chips ----------------------------------------------------------------------------------------------


def draw_chips(conversation_id: str | None, choose: Callable[[], None] | None = None) -> None:
    """Draw what goes along with the next message.

    choose: asks which pages do. While the engine starts, estimates are replaced as soon as it counts.
    """
    files = state.services().draft_files
    # the container is always there: what comes after it keeps its place, and an upload goes on
    with st.container(key="attachments"):
        if files.waiting(conversation_id):
            chips = st.fragment(_chips, run_every=RECOUNT_S if files.warming_up else None)
            chips(conversation_id, choose, iter((True,)))
        _draw_refusals(conversation_id)  # below, so that the chips stay where a person is about to press


def _chips(conversation_id: str | None, choose: Callable[[], None] | None, of_page: Iterator[bool]) -> None:
    """Draw the chips. of_page: True once, with the page; nothing when they are drawn again by themselves."""
    with_page = next(of_page, False)
    if state.take_redraw():
        st.rerun()
    files = state.services().draft_files
    waiting = files.waiting(conversation_id)
    counted = files.count([draft.document for draft in waiting])
    with st.container(key="attached", horizontal=True, gap="xsmall"):
        for draft, attachment in zip(waiting, counted.attachments, strict=True):
            name = escape(draft.whole.name)
            note = escape(_note(draft, attachment.tokens, exact=counted.exact))
            with st.container(
                key=f"attached_{draft.id}", horizontal=True, gap=None, vertical_alignment="center", wrap=False
            ):
                widgets.html(
                    f'<span class="tk-file"><b title="{name}">{name}</b><small>{note}</small></span>'
                )
                if choose is not None and draft.whole.total > 1:
                    st.button(
                        t("chat.attach.choose_pages"),
                        key=f"attached_pages_{draft.id}",
                        type="tertiary",
                        on_click=_then_redraw,
                        args=(choose,),
                    )
                st.button(
                    t("chat.attach.remove", name=markdown_label(draft.whole.name)),
                    icon=":material/close:",
                    key=f"attached_remove_{draft.id}",
                    type="tertiary",
                    on_click=_then_redraw,
                    args=(files.drop, [draft]),
                )
    if counted.exact and not files.warming_up and files.take_warmed_up() and not with_page:
        st.rerun()  # the context line counts exactly too; within a page's run it comes after this anyway


def forget_refusals() -> None:
    """What was refused is told no longer."""
    _REFUSALS.drop()


def _refuse(conversation_id: str | None, error: TwoKeysError) -> None:
    language = words.language()
    refusal = FileRefusal(conversation_id, error.message(language), error.hint(language))
    _REFUSALS.set((*(known for known in _REFUSALS.get() if known != refusal), refusal))


def _draw_refusals(conversation_id: str | None) -> None:
    refusals = [refusal for refusal in _REFUSALS.get() if refusal.conversation_id == conversation_id]
    if not refusals:
        return
    with st.container(key="refused", horizontal=True, vertical_alignment="top", gap="xsmall", wrap=False):
        rows = "".join(
            f"<li>{escape(refusal.text)} <span>{escape(refusal.hint)}</span></li>" for refusal in refusals
        )
        widgets.html(f'<ul class="tk-refused" role="alert">{rows}</ul>')
        widgets.dismiss("refused_dismiss", forget_refusals)


def _then_redraw(act: Callable[..., None], *what: object) -> None:
    act(*what)
    state.ask_redraw()


def _note(draft: DraftDocument, tokens: int, *, exact: bool) -> str:
    parts = [pages_text(draft), t("chat.attach.tokens", tokens=("" if exact else "≈ ") + count_text(tokens))]
    speed = reading_speed()
    if speed:
        seconds = duration_text(tokens / speed, words.language())
        parts.append(t("chat.attach.seconds", seconds=seconds))
    return " · ".join(parts)


def pages_text(draft: DraftDocument) -> str:
    """Return how many pages go along, of how many where not all do."""
    whole, chosen = draft.whole, len(draft.document.passages)
    if draft.is_whole:
        return t(f"chat.attach.count.{whole.unit}", count=whole.total)
    return t(f"chat.attach.some.{whole.unit}", count=chosen, total=whole.total)


def reading_speed() -> float | None:
    """Return how many tokens of a prompt the model reads in a second on this machine, as far as known."""
    services = state.services()
    name = services.engines.name
    speed = services.repository.speed(name) if name else None
    return speed.prompt_tok_per_s if speed is not None else None


def sent_pages(document: Mapping[str, object]) -> str:
    """Return which pages of a document were sent, by what the file calls them where that is known."""
    pages, unit = str(document.get("pages")), document.get("unit")
    return t(f"chat.attach.sent.{unit}", pages=pages) if unit in get_args(Unit) else pages


def sent_files(provenance: Provenance) -> list[dict[str, str]]:
    """Return the documents of a question for the transcript: name, and a note on pages and tokens."""
    return [
        {
            "name": str(document.get("name")),
            "note": t(
                "chat.attach.sent_note",
                pages=sent_pages(document),
                tokens=count_text(int(document.get("tokens") or 0)),
            ),
        }
        for document in provenance.documents
    ]


def sent_markup(question: Message) -> str:
    """Return the documents of a question as markup: a quiet line for each."""
    return "".join(
        f'<small class="tk-under">{escape(file["name"])} · {escape(file["note"])}</small>'
        for file in sent_files(question.provenance)
    )


# --- what the browser tells -----------------------------------------------------------------------------


def hear(conversation_id: str, action: Action) -> None:
    """Take what the browser tells of the message box: a draft, a long paste, a file it did not upload."""
    match action.type:
        case "draft":
            drafts.see(conversation_id, action.text or "")
        case "pasted" if action.text:
            _PASTED.set((conversation_id, action.text))
        case "refused" if action.reason == "folder":
            _refuse(conversation_id, problem_of(action.text or "", "folder_dropped"))
            state.ask_redraw()
        case "refused" if action.reason == "too_large":
            size = action.data.get("size")
            known = bytes_text(size) if isinstance(size, int) else "?"
            error = problem_of(action.text or "", "too_large", size=known, limit=bytes_text(MAX_BYTES))
            _refuse(conversation_id, error)
            state.ask_redraw()
        case _:
            pass


def draw_pasted(conversation_id: str) -> None:
    """Offer to make a file of a long text that was just pasted. Within a fragment."""
    pasted_in, pasted = _PASTED.get() or ("", "")
    seen = drafts.seen(conversation_id)
    if pasted_in != conversation_id or not pasted or pasted not in seen:
        return
    with st.container(key="pasted", horizontal=True, vertical_alignment="center", gap="xsmall"):
        line = t("chat.attach.pasted", count=count_text(len(pasted)))
        widgets.html(f'<p class="tk-coach" role="status">{escape(line)}</p>')
        st.button(
            t("chat.attach.pasted_file"),
            key="pasted_file",
            type="tertiary",
            on_click=_paste_to_file,
            args=(conversation_id, pasted),
        )
        st.button(
            "",
            icon=":material/close:",
            key="pasted_leave",
            type="tertiary",
            help=t("chat.attach.pasted_leave"),
            on_click=_PASTED.drop,
        )


def _paste_to_file(conversation_id: str, pasted: str) -> None:
    if add(conversation_id, t("chat.attach.pasted_name"), pasted.encode("utf-8", "replace")):
        left = drafts.seen(conversation_id).replace(pasted, "", 1).strip()
        drafts.put_back(left)
        drafts.see(conversation_id, left)
        _PASTED.drop()
    state.ask_redraw()
