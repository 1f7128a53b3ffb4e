"""`--file` and `--pages`: documents read, counted by the engine, and refused where they do not fit."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twokeys.documents.document import Document, parse_ranges
from twokeys.errors import BadInput, BadParameter, DocumentsTooLong, Reason
from twokeys.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from twokeys.cli.output import Output
    from twokeys.core.attachments import Attachment
    from twokeys.services import Services


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file as it is on the disk, and what a reader made of it."""

    data: bytes
    document: Document


def read_files(paths: Sequence[Path], pages: str | None, out: "Output") -> list[FileRead]:
    """Return the files and their documents, of one alone only the pages asked for.

    Says which pages hold no text.
    Raises BadDocument, BadParameter or BadInput.
    """
    from twokeys.documents.reader import file_bytes, problem_of, read_document

    numbers = None if pages is None else parse_ranges(pages)
    if pages is not None and numbers is None:
        raise BadParameter(field="pages", value=pages, allowed="3-7,9")
    if numbers is not None and len(paths) != 1:
        raise BadInput(reason=Reason("cli.attached.pages_of_one"))
    contents = [file_bytes(path) for path in paths]
    files = [
        FileRead(data, read_document(data, path.name)) for data, path in zip(contents, paths, strict=True)
    ]
    if numbers is not None:
        document = files[0].document
        if numbers[-1] > document.total:
            raise problem_of(document.name, "no_such_pages", pages=pages, total=document.total)
        files = [FileRead(files[0].data, document.only(numbers))]
    for document in [file.document for file in files]:
        if document.unit == "page" and document.without_text:
            blank = ", ".join(map(str, document.without_text))
            out.note(out.text("attached.without_text", name=document.name, pages=blank), "yellow")
    return files


def material_tokens(files: Sequence[FileRead]) -> int:
    """Return about how many tokens the documents have, before an engine runs."""
    return sum(estimate_tokens(file.document.text) for file in files)


@contextlib.contextmanager
def attached(
    services: "Services", conversation_id: str, files: Sequence[FileRead], question: str
) -> Iterator[Sequence["Attachment"]]:
    """Start the engine, count the documents with it and give them, their files kept, to be sent.

    Raises DocumentsTooLong, with the tokens of every passage, when the message does not fit.
    """
    documents = [file.document for file in files]
    counted = services.draft_files.count(documents, start=True)
    plan = services.answers.plan(conversation_id, question, documents=documents)
    if not plan.fits:
        raise DocumentsTooLong(
            prompt_tokens=plan.prompt_tokens,
            max_new_tokens=plan.max_new_tokens,
            context=plan.context,
            passages="\n".join(passage_lines(services, counted.attachments)),
        )
    draft_files = [services.draft_files.keep(conversation_id, file.document, file.data) for file in files]
    try:
        yield counted.attachments
    finally:
        services.draft_files.drop(draft_files)


def passage_lines(services: "Services", attachments: Sequence["Attachment"]) -> list[str]:
    """Return a line for each document and for each of its passages: number, tokens, title."""
    lines: list[str] = []
    for attachment in attachments:
        document = attachment.document
        lines.append(f"{document.name}  {attachment.tokens}")
        counts = services.draft_files.passage_tokens(document)
        for passage, tokens in zip(document.passages, counts, strict=True):
            lines.append(f"  {passage.number}  {tokens}  {passage.title}".rstrip())
    return lines
