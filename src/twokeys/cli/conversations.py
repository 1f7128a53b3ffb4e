"""`twokeys conversations`: the history. Needs the store alone, no engine."""

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from twokeys.cli.exports import File, Force, deliver
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output, clean
from twokeys.errors import BadFile, BadInput, NotFound, Reason
from twokeys.i18n import translate
from twokeys.types import Conversation, Imported, SearchFilter, SearchHit

if TYPE_CHECKING:
    from rich.table import Table

    from twokeys.store.repository import Repository

app = typer.Typer(no_args_is_help=True)

SHORTEST_PREFIX = 4
MOST_ROWS = 1_000_000
DATES = ["%Y-%m-%d"]

Id = Annotated[str, typer.Argument(metavar="ID", help="conversations.id", show_default=False)]
Now = Annotated[bool, typer.Option("--now", help="conversations.now")]
Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="conversations.limit")]


@app.command("list", help="conversations.list")
def list_conversations(
    context: typer.Context, limit: Limit = 50, model: Model = None, as_json: Json = False
) -> None:
    call = Invocation.of(context, model, as_json)
    with call.reading() as repository:
        if call.out.as_json:
            rows = repository.list_conversations(limit=limit)
            call.out.json([conversation_row(repository, row) for row in rows])
        elif repository.count_conversations() == 0:
            call.out.note(call.out.text("conversations.none"))
        else:
            call.out.console.print(conversations_table(repository, call.out, limit))


@app.command("search", help="conversations.search")
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="Q", help="conversations.query", show_default=False)],
    limit: Limit = 30,
    since: Annotated[
        datetime | None, typer.Option("--since", formats=DATES, metavar="DATE", help="conversations.since")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=DATES, metavar="DATE", help="conversations.until")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="MODEL", help="conversations.by")] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, model, as_json)
    query = clean(query)
    wanted = SearchFilter(
        None if since is None else since.timestamp(),
        None if until is None else (until + timedelta(days=1)).timestamp(),
        by,
    )
    with call.reading() as repository:
        hits = repository.search(query, limit, wanted)
    if call.out.as_json:
        call.out.json([{**asdict(hit), "conversation": hit.conversation_id} for hit in hits])
    elif not hits:
        call.out.note(call.out.text("conversations.no_hits", query=query))
    else:
        _show_hits(hits, call.out)


@app.command("export", help="conversations.export")
def export(
    context: typer.Context,
    conversation: Annotated[
        str | None, typer.Argument(metavar="ID", help="conversations.id", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="conversations.all")] = False,
    kind: Annotated[
        str | None, typer.Option("--format", "-f", metavar="json|md", help="conversations.format")
    ] = None,
    output: File = None,
    force: Force = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, model, as_json)
    if everything == (conversation is not None):
        raise BadInput(reason=Reason("cli.conversations.id_or_all"))
    chosen = export_kind(kind, output, as_json=call.out.as_json)
    with call.reading() as repository:
        source = None if conversation is None else find_conversation(repository, conversation)
        data = export_bytes(repository, source, chosen, call.out.language)
    if chosen == "zip" and output is None:
        raise BadInput(reason=Reason("cli.conversations.zip_needs_file"))
    deliver(call.out, data, chosen, output, force=force)


@app.command("import", help="conversations.import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="conversations.file", show_default=False)],
    again: Annotated[bool, typer.Option("--again", help="conversations.again")] = False,
    model: Model = None,
    as_json: Json = False,
) -> None:
    from twokeys.store.exchange import Exchange

    call = Invocation.of(context, model, as_json)
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.expanduser().read_bytes()
    except OSError as exc:
        raise BadFile(name=str(file), reason=exc.strerror or str(exc)) from exc
    with call.repository() as repository:
        imported = Exchange(repository).import_file(data, file.name, again=again)
        rows = [
            conversation_row(repository, repository.get_conversation(i)) for i in imported.conversation_ids
        ]
    if call.out.as_json:
        call.out.json(
            {
                "source": imported.source,
                "messages": imported.message_count,
                "conversations": rows,
                "left_out": [
                    {"title": left_out.title, "reason": left_out.reason.in_language(call.out.language)}
                    for left_out in imported.left_out
                ],
                "already_here": [asdict(here) for here in imported.already_here],
            }
        )
    else:
        _tell_import(imported, call.out)


def _tell_import(imported: Imported, out: Output) -> None:
    """Say how many came, what was left out and why, and what was here already."""
    source = translate(f"store.source.{imported.source}", out.language)
    out.line(out.text("conversations.imported", count=len(imported.conversation_ids), source=source))
    for left_out in imported.left_out:
        reason = left_out.reason.in_language(out.language)
        out.note(out.text("conversations.left_out", title=left_out.title, reason=reason), "yellow")
    if imported.already_here:
        out.note(out.text("conversations.already_here", count=len(imported.already_here)), "yellow")


@app.command("rm", help="conversations.rm")
def rm(
    context: typer.Context, conversation: Id, now: Now = False, model: Model = None, as_json: Json = False
) -> None:
    call = Invocation.of(context, model, as_json)
    with call.repository() as repository:
        match = find_conversation(repository, conversation)
        token = repository.delete_conversation(match.id)
        if now:
            complete = repository.bin.remove(token).complete
        repository.bin.purge_due()
    name = match.title or match.id
    if call.out.as_json:
        gone = {"removed": True, "complete": complete} if now else {"undo": token}
        call.out.json({"id": match.id, "title": match.title, **gone})
    elif now:
        key = "conversations.removed_now" if complete else "conversations.removed_soon"
        call.out.line(call.out.text(key, title=name))
    else:
        call.out.line(call.out.text("conversations.removed", title=name, token=token))


@app.command("undo", help="conversations.undo")
def undo(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="conversations.token", show_default=False)],
    model: Model = None,
    as_json: Json = False,
) -> None:
    call = Invocation.of(context, model, as_json)
    with call.repository() as repository:
        repository.undo(clean(token))
    if call.out.as_json:
        call.out.json({"undone": token})
    else:
        call.out.line(call.out.text("conversations.restored"))


def find_conversation(repository: "Repository", given: str) -> Conversation:
    """Return the conversation with this id, or the only one whose id begins so.

    Raises NotFound for none (a deleted one counts as none), BadInput for several.
    """
    given = clean(given).strip()
    try:
        conversation = repository.get_conversation(given)
    except NotFound:
        if len(given) < SHORTEST_PREFIX:
            raise
        near = [c for c in repository.list_conversations(limit=MOST_ROWS) if c.id.startswith(given)]
        if len(near) > 1:
            raise BadInput(reason=Reason("cli.conversations.ambiguous", prefix=given)) from None
        if not near:
            raise
        return near[0]
    if conversation.deleted_at is not None:
        raise NotFound(kind="conversation", name=given)
    return conversation


def conversation_row(repository: "Repository", conversation: Conversation) -> dict[str, object]:
    """Return one conversation for scripts. Times are Unix seconds."""
    sampling = conversation.settings.sampling
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "pinned": conversation.pinned,
        "tags": list(conversation.tags),
        "archived": conversation.archived,
        "messages": repository.count_messages(conversation.id),
        "temperature": sampling.temperature,
        "max_new_tokens": sampling.max_new_tokens,
        "preset": conversation.settings.preset,
    }


def conversations_table(repository: "Repository", out: Output, limit: int) -> "Table":
    """Return the latest conversations as a table for people."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(out.text("conversations.id"), style="cyan", no_wrap=True)
    table.add_column(out.text("conversations.updated"), style="dim", no_wrap=True)
    table.add_column(out.text("conversations.title"))
    for conversation in repository.list_conversations(limit=limit):
        when = datetime.fromtimestamp(conversation.updated_at).strftime("%Y-%m-%d %H:%M")
        table.add_row(
            conversation.id, when, escape(("📌 " if conversation.pinned else "") + conversation.title)
        )
    return table


def _show_hits(hits: list[SearchHit], out: Output) -> None:
    from rich.text import Text

    for hit in hits:
        out.console.print(
            Text.assemble((hit.conversation_id, "cyan"), "  ", (hit.title, "bold")), soft_wrap=True
        )
        snippet = Text("  " + hit.snippet.replace("\n", " "))
        for start, end in hit.highlights:
            snippet.stylize("reverse", start + 2, end + 2)
        if hit.message_id is not None:
            out.console.print(snippet, soft_wrap=True)


def export_kind(
    asked: str | None, output: Path | None, *, as_json: bool
) -> Literal["json", "md", "zip", "html"]:
    """Return the format: as asked, else by the file's ending, else JSON for scripts, Markdown for people."""
    if asked not in (None, "json", "md", "html"):
        raise BadInput(reason=Reason("cli.conversations.bad_format", value=asked))
    ending = output.suffix.lower() if output is not None else ""
    if asked == "html" or (asked is None and ending in (".html", ".htm")):
        return "html"
    if ending == ".zip" and asked in (None, "md"):
        return "zip"
    if asked == "json" or (asked is None and (ending == ".json" or (as_json and not ending))):
        return "json"
    return "md"


def export_bytes(
    repository: "Repository", conversation: Conversation | None, kind: str, language: str
) -> bytes:
    """Return one conversation (all when None) as our JSON, as Markdown, or as a zip of Markdown files.

    One can be an HTML page too. Raises BadInput for a page of all.
    """
    from twokeys.store.exchange import Exchange

    exchange = Exchange(repository)
    if kind == "json":
        return exchange.export_json([conversation.id] if conversation else None).encode()
    if kind == "html":
        from twokeys.manuscript.share import conversation_page

        if conversation is None:
            raise BadInput(reason=Reason("cli.conversations.html_one"))
        return conversation_page(conversation, repository.branch(conversation.id), language).encode()
    if kind == "zip" and conversation is None:
        return exchange.export_markdown_zip(language)
    chosen = [conversation] if conversation else repository.list_conversations(limit=MOST_ROWS)
    texts = [exchange.export_markdown(listed.id, language).rstrip("\n") for listed in chosen]
    return ("\n\n\n".join(texts) + "\n").encode("utf-8", "replace")
