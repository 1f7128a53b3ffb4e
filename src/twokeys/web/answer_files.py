"""Structured answers as files: GET /twokeys/answers/{message}.{csv|xlsx|json}.

What a file holds is decided in core/structured/export.py; nothing is stored here.
"""

from typing import TYPE_CHECKING, get_args
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from twokeys.core.structured.export import MEDIA_TYPES, FileKind, answer_file
from twokeys.core.structured.schema import schema_of
from twokeys.errors import NotFound, TwoKeysError

if TYPE_CHECKING:
    from twokeys.services import Services

MOST_NAME_CHARS = 60


def answer_file_routes(services: "Services") -> list[BaseRoute]:
    """Return the route over these services."""

    def download(request: Request) -> Response:  # not async: the store must not hold the event loop
        message_id, kind = request.path_params["message"], request.path_params["kind"]
        try:
            if kind not in get_args(FileKind):
                raise NotFound(kind="file", id=f"{message_id}.{kind}")
            message = services.conversations.message(message_id)
            schema = schema_of(message.provenance)
            data = answer_file(message.content, kind, schema.value if schema is not None else None)
            if data is None:
                raise NotFound(kind="file", id=f"{message_id}.{kind}")
            title = services.conversations.get(message.conversation_id).title
        except TwoKeysError as error:
            return JSONResponse({"error": error.to_dict()}, status_code=404)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name(title, kind))}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(data, media_type=MEDIA_TYPES[kind], headers=headers)

    return [Route("/twokeys/answers/{message}.{kind}", download, methods=["GET"])]


def file_name(title: str, kind: str) -> str:
    """Return a name for a file of rows that every system takes."""
    plain = "".join(char if char.isalnum() else "-" for char in title).strip("-")[:MOST_NAME_CHARS]
    return f"{plain or 'rows'}.{kind}"
