"""`--file` and `--pages`: documents read, counted by the engine, and refused where they do not fit."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twokeys.documents.document import Document, parse_ranges
from twokeys.errors import BadInput, BadParameter, DocumentsTooLong, EngineError, Reason
from twokeys.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from twokeys.cli.output import Output
    from twokeys.core.attachments import Attachment
    from twokeys.core.context import ContextPlan
    from twokeys.engine import Engine
    from twokeys.services import Services

START_TIMEOUT_S = 600.0


def read_files(paths: Sequence[Path], pages: str | None, out: "Output") -> list[Document]:
    """Return the documents, of one alone only the pages asked for; say which pages hold no text.

    Raises BadDocument, BadParameter or BadInput.
    """
    from twokeys.documents import read_file
    from twokeys.documents.reader import problem_of

    numbers = None if pages is None else parse_ranges(pages)
    if pages is not None and numbers is None:
        raise BadParameter(field="pages", value=pages, allowed="3-7,9")
    if numbers is not None and len(paths) != 1:
        raise BadInput(reason=Reason("cli.attached.pages_of_one"))
    documents = [read_file(path) for path in paths]
    if numbers is not None:
        document = documents[0]
        if numbers[-1] > document.total:
            raise problem_of(document.name, "no_such_pages", pages=pages, total=document.total)
        documents = [document.only(numbers)]
    for document in documents:
        if document.unit == "page" and document.without_text:
            blank = ", ".join(map(str, document.without_text))
            out.note(out.text("attached.without_text", name=document.name, pages=blank), "yellow")
    return documents


def attach(services: "Services", documents: Sequence[Document]) -> list["Attachment"]:
    """Start the engine and count the documents with it."""
    from twokeys.core.attachments import Attachment, sent_text

    counts = services.jobs.loop.run(
        _count(services, [sent_text(document) for document in documents]), timeout_s=START_TIMEOUT_S
    )
    return [Attachment(document, tokens) for document, tokens in zip(documents, counts, strict=True)]


def check_fit(
    services: "Services", conversation_id: str, attachments: Sequence["Attachment"], question: str
) -> "ContextPlan":
    """Return what the message needs. Raises DocumentsTooLong, with the tokens of every passage."""
    from twokeys.core.attachments import with_documents

    documents = [attachment.document for attachment in attachments]
    plan = services.answers.plan(conversation_id, with_documents(documents, question))
    if not plan.fits:
        raise DocumentsTooLong(
            prompt_tokens=plan.prompt_tokens,
            max_new_tokens=plan.max_new_tokens,
            context=plan.context,
            passages=_passage_lines(services, attachments),
        )
    return plan


def _passage_lines(services: "Services", attachments: Sequence["Attachment"]) -> str:
    lines: list[str] = []
    for attachment in attachments:
        document = attachment.document
        texts = [document.marked(passage) for passage in document.passages]
        counts = services.jobs.loop.run(_count(services, texts), timeout_s=START_TIMEOUT_S)
        lines.append(f"{document.name}  {attachment.tokens}")
        for passage, tokens in zip(document.passages, counts, strict=True):
            lines.append(f"  {passage.number}  {tokens}  {passage.title}".rstrip())
    return "\n".join(lines)


async def _count(services: "Services", texts: Sequence[str]) -> list[int]:
    engine = await services.engines.ready()
    await engine.info()
    return list(await asyncio.gather(*(_tokens(engine, text) for text in texts)))


async def _tokens(engine: "Engine", text: str) -> int:
    """Count exactly; a server that has no such service is estimated."""
    try:
        return len(await engine.tokenize(text))
    except EngineError:
        return estimate_tokens(text)
