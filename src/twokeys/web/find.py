"""What the palette finds that is stored: GET /twokeys/palette?q=… answers {"items": […]}.

Without a query the latest conversations, all prompts, the presets of one's own and the models that are
here; with one, the messages that have its words too. Commands and pages are known to the page itself. Each
item has kind, id and title, and may have note, at, message, marked and matched
(frontend/src/palette_match.ts).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from twokeys.i18n import DEFAULT_LANGUAGE, LANGUAGES
from twokeys.types import SearchHit

if TYPE_CHECKING:
    from twokeys.services import Services

LATEST = 40
HITS = 20
LONGEST_QUERY = 200
NOTE_CHARS = 120

Item = Mapping[str, object]


def find_routes(services: "Services") -> list[BaseRoute]:
    """Return the route over these services."""

    def find(request: Request) -> Response:  # not async: the search must not hold the event loop
        query = request.query_params.get("q", "").strip()[:LONGEST_QUERY]
        items = [*_conversations(services), *_others(services, request.query_params.get("lang", ""))]
        if query:
            items = [*_matches(services, query), *items]
        return JSONResponse({"items": items}, headers={"Cache-Control": "no-store"})

    return [Route("/twokeys/palette", find, methods=["GET"])]


def _conversations(services: "Services") -> Iterator[Item]:
    for conversation in services.conversations.latest(LATEST):
        if conversation.head_id is not None or conversation.pinned:
            yield {
                "kind": "conversation",
                "id": conversation.id,
                "title": conversation.title,
                "at": conversation.updated_at,
                "words": " ".join(conversation.tags),
            }


def _matches(services: "Services", query: str) -> Iterator[Item]:
    for hit in services.conversations.search(query, HITS):
        if hit.message_id is not None:
            yield {
                "kind": "conversation",
                "id": hit.conversation_id,
                "title": hit.title,
                "note": " ".join(hit.snippet.split()),
                "message": hit.message_id,
                "marked": _marked(hit),
                "matched": True,
            }


def _marked(hit: SearchHit) -> list[str]:
    return list(dict.fromkeys(hit.snippet[start:end] for start, end in hit.highlights))


def _others(services: "Services", language: str) -> Iterator[Item]:
    for prompt in services.prompts.list(language if language in LANGUAGES else DEFAULT_LANGUAGE):
        note = " ".join(prompt.text.split())[:NOTE_CHARS]
        yield {"kind": "prompt", "id": prompt.name, "title": prompt.name, "note": note}
    for preset in services.presets.of_kind("own"):
        yield {"kind": "preset", "id": preset.name, "title": preset.name}
    for model in services.models.list():
        if model.installed:
            yield {"kind": "model", "id": model.name, "title": model.name}
