"""Full-text search over titles and messages, in Chinese and in languages that put spaces.

SQLite's own splitters take a run of Chinese for one word. So texts are split here: a run of
characters of a script without spaces becomes its overlapping pairs plus its last character
("温度计" → 温度 度计 计), any other run of letters and digits is one word. Then a two-character word is
one lookup, a longer one a phrase of pairs, a single character the beginning of a pair, and an English
word is found by its beginning. Upper case, accents and full-width forms make no difference. The index
holds no signs: where a word begins or ends with one that counts (C++, .NET, #include), what the index
finds is looked at again.

Not covered: simplified against traditional characters, spelling mistakes, word stems, and what
stands beyond the first INDEXED_CHARS of a message.
"""

import re
import sqlite3
import unicodedata
from dataclasses import asdict, dataclass, replace
from typing import Literal

from twokeys.store.coding import clean
from twokeys.types import ANYWHERE, SearchFilter, SearchHit

VERSION = 1
"""Of the splitting below: another number makes the index be built anew at the next start."""
VERSION_SETTING = "store.search_version"
"""Under which setting the version of the present index is kept."""

INDEXED_CHARS = 200_000
"""More than the longest answer a model gives; a pasted book is not read to its end."""

MAX_QUERY_CHARS = 100
MAX_TERMS = 12
RANKED_HITS = 4000
"""Up to so many matches are weighed against each other; of more, the newest so many."""
SCANNED_MESSAGES = 20_000
"""How many of the newest messages are read for a search that has no letter in it."""

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{_NO_SPACES}]+|[^ {_NO_SPACES}]+")
_IS_PAIRED = re.compile(f"[{_NO_SPACES}]")
_SENTENCE_SIGNS = ".,;:!?…\"'()[]{}，。；：！？、“”‘’（）「」《》"
_QUOTED_OR_WORD = re.compile(r'"([^"]*)"|“([^”]*)”|(\S+)')


class _Folding(dict[int, str]):
    """For str.translate: each character as it is compared; what is no letter or digit is a space."""

    def __missing__(self, code: int) -> str:
        letters = [
            c for c in unicodedata.normalize("NFKD", chr(code).casefold()) if unicodedata.category(c) != "Mn"
        ]
        folded = unicodedata.normalize("NFC", "".join(letters)) if letters else ""
        shown = "".join(c if c.isalnum() or unicodedata.category(c) == "Mc" else " " for c in folded)
        self[code] = shown
        return shown


class _FlatFolding(dict[int, str]):
    """The same with exactly one character for each, so that places in the text stay the same."""

    def __missing__(self, code: int) -> str:
        folded = _FOLDING[code]
        self[code] = flat = folded[:1] or " "
        return flat


_FOLDING = _Folding()
_FLAT_FOLDING = _FlatFolding()


def words(text: str) -> str:
    """Return the words of a text as the index holds them, separated by spaces."""
    words: list[str] = []
    for run in _RUN.findall(text[:INDEXED_CHARS].translate(_FOLDING)):
        words.extend(_pairs(run) if _IS_PAIRED.match(run) else (run,))
    return " ".join(words)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run))]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a search: the runs that must stand side by side. open: more letters may follow.

    literal: what must stand in the text as it was typed, for a word with signs that count; else empty.
    """

    runs: tuple[str, ...]
    open: bool
    literal: str = ""

    def expression(self) -> str:
        """Return the term in the language of FTS5."""
        tokens: list[str] = []
        for run in self.runs:
            tokens.extend(_pairs(run) if _IS_PAIRED.match(run) else (run,))
        last = self.runs[-1]
        # In the index a sign ends a word, so nothing follows what stands before one.
        begins = self.open and (not self.literal or self.literal[-1].isalnum())
        if _IS_PAIRED.match(last):
            # The text may go on after the last pair, so the single character closing it is not asked for.
            begins = len(last) == 1
            if not begins:
                tokens.pop()
        return f'"{" ".join(tokens)}"{" *" if begins else ""}'

    def literal_pattern(self) -> re.Pattern[str]:
        """Return what finds the word with its signs in a text as it is."""
        before = r"(?<!\w)" if self.literal[0].isalnum() and not _IS_PAIRED.match(self.literal) else ""
        after = r"(?!\w)" if self.literal[-1].isalnum() and not self.open else ""
        return re.compile(before + re.escape(self.literal) + after, re.IGNORECASE)

    def pattern(self) -> str:
        """Return a regular expression that finds the term in a folded text."""
        parts = []
        for place, run in enumerate(self.runs):
            part = re.escape(run)
            if not _IS_PAIRED.match(run):
                part = f"(?<![^ {_NO_SPACES}])" + part
                if not self.open or place < len(self.runs) - 1:
                    part += f"(?![^ {_NO_SPACES}])"
            parts.append(part)
        return " *".join(parts)


def parse(query: str) -> list[Term]:
    """Split what a person typed: words must all be found, text in quotes exactly and together."""
    terms: list[Term] = []
    for match in _QUOTED_OR_WORD.finditer(query[:MAX_QUERY_CHARS]):
        quoted, curly, word = match.groups()
        text = word if word is not None else (quoted if quoted is not None else curly)
        runs = tuple(_RUN.findall(text.translate(_FOLDING)))
        if runs:
            terms.append(Term(runs, open=word is not None, literal=_literal(text)))
    return terms[:MAX_TERMS]


def _literal(text: str) -> str:
    """Return the word as it must stand in the text, "" when its signs are only those of a sentence."""
    text = unicodedata.normalize("NFKC", text).strip().rstrip(_SENTENCE_SIGNS)
    text = text.lstrip(_SENTENCE_SIGNS.replace(".", ""))
    edges = [sign for sign in (text[:1], text[-1:]) if sign and not sign.isalnum()]
    return text if any(unicodedata.category(sign)[0] in "PS" for sign in edges) else ""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a text and the places in it that were looked for."""

    text: str
    highlights: tuple[tuple[int, int], ...]


def snippet(content: str, terms: list[Term], *, width: int = 160) -> Snippet:
    """Return about `width` characters around the first match, on one line."""
    content_read = content[:INDEXED_CHARS]
    folded = content_read.translate(_FLAT_FOLDING)
    spans = _spans(folded, [re.compile(term.pattern()) for term in terms if not term.literal])
    spans += _spans(content_read, [term.literal_pattern() for term in terms if term.literal])
    return _cut(content, sorted(spans), width)


def _stands_there(content: str, terms: list[Term]) -> bool:
    """Return whether the words with signs that count stand in a text."""
    literals = [term.literal_pattern() for term in terms if term.literal]
    return all(
        pattern.search(content)
        or (not content.isascii() and pattern.search(unicodedata.normalize("NFKC", content)))
        for pattern in literals
    )


def _spans(folded: str, patterns: list[re.Pattern[str]]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for pattern in patterns:
        for count, match in enumerate(pattern.finditer(folded)):
            spans.append(match.span())
            if count >= 50:
                break
    return sorted(spans)


def _cut(content: str, spans: list[tuple[int, int]], width: int) -> Snippet:
    first = spans[0][0] if spans else 0
    start = max(0, first - width // 4)
    piece = content[start : start + width]
    text = re.sub(r"\s", " ", piece)
    before = "…" if start else ""
    after = "…" if start + width < len(content) else ""
    shift = len(before) - start
    marked: list[tuple[int, int]] = []
    for begin, end in spans:
        end = min(end, start + len(piece))
        if begin < start or begin >= end:
            continue
        if marked and begin + shift < marked[-1][1]:
            marked[-1] = (marked[-1][0], max(marked[-1][1], end + shift))
        else:
            marked.append((begin + shift, end + shift))
    return Snippet(f"{before}{text}{after}", tuple(marked))


# -- the index -----------------------------------------------------------------------------------

Table = Literal["message_words", "title_words"]


def index(connection: sqlite3.Connection, table: Table, n: int, text: str) -> None:
    """Add a text to the index under its row number."""
    connection.execute(f"INSERT INTO {table} (rowid, words) VALUES (?, ?)", (n, words(text)))


def unindex(connection: sqlite3.Connection, table: Table, n: int, text: str) -> None:
    """Take a text out of the index; it must be the very text that was added."""
    connection.execute(
        f"INSERT INTO {table} ({table}, rowid, words) VALUES ('delete', ?, ?)", (n, words(text))
    )


def clear(connection: sqlite3.Connection) -> None:
    """Empty the index."""
    for table in ("message_words", "title_words"):
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")


# -- searching -----------------------------------------------------------------------------------

_TAGGED = """
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(c.tags) WHERE value = :tag))
    AND (:archived IS NULL OR c.archived = :archived)
"""
CONVERSATION_WANTED = f"""
    AND (:since IS NULL OR c.updated_at >= :since) AND (:until IS NULL OR c.created_at < :until)
    AND (:model IS NULL OR EXISTS (
        SELECT 1 FROM messages a WHERE a.conversation_id = c.id AND a.deleted_at IS NULL
        AND json_extract(a.provenance, '$.model') = :model))
    {_TAGGED}
"""
"""Which conversations `c` a filter lets through, with its `filter_values`."""
# CROSS JOIN fixes the order: messages first, then the conversation of each.
_SHOWN_MESSAGES = f"""
    FROM messages m CROSS JOIN conversations c ON c.id = m.conversation_id
    WHERE m.deleted_at IS NULL AND c.deleted_at IS NULL AND c.kind = 'chat'
    AND (:since IS NULL OR m.created_at >= :since) AND (:until IS NULL OR m.created_at < :until)
    AND (:model IS NULL OR json_extract(m.provenance, '$.model') = :model OR EXISTS (
        SELECT 1 FROM messages a WHERE a.parent_id = m.id AND a.deleted_at IS NULL
        AND json_extract(a.provenance, '$.model') = :model))
    {_TAGGED}
"""
_SHOWN_TITLES = f"""
    SELECT c.n, c.id, c.title AS content, c.title, c.updated_at, c.head_id FROM conversations c
    WHERE c.deleted_at IS NULL AND c.kind = 'chat' {CONVERSATION_WANTED}
"""
_MESSAGE_COLUMNS = "SELECT m.n, m.id, m.conversation_id, c.title, m.role, m.content, m.created_at, c.head_id"


@dataclass(frozen=True, slots=True)
class _Search:
    """A search under way: what is looked for, and where."""

    connection: sqlite3.Connection
    terms: list[Term]
    wanted: SearchFilter

    @property
    def expression(self) -> str:
        return " ".join(term.expression() for term in self.terms)

    @property
    def values(self) -> dict[str, float | str | None]:
        return filter_values(self.wanted)


def filter_values(wanted: SearchFilter) -> dict[str, float | str | None]:
    """Return the values of a filter by the names that the statements give them."""
    return asdict(wanted)


def search(
    connection: sqlite3.Connection, query: str, limit: int, wanted: SearchFilter = ANYWHERE
) -> list[SearchHit]:
    """Return the best matches: titles first, then messages, both best first, then newest.

    Titles take at most a third of the places as long as messages fill the rest.
    """
    query = clean(query).strip()
    if limit <= 0 or not query:
        return []
    under_way = _Search(connection, parse(query), wanted)
    if not under_way.terms:
        hits = _scan(under_way, query[:MAX_QUERY_CHARS], limit)
    else:
        titles = _titles(under_way, limit)
        messages = _messages(under_way, limit - min(len(titles), limit // 3))
        hits = titles[: limit - len(messages)] + messages
    return _with_heads(connection, hits)


def _titles(under_way: _Search, limit: int) -> list[SearchHit]:
    ranks = _ranked(under_way, "title_words")
    hits = []
    for row in _shown(under_way, ranks, limit, f"{_SHOWN_TITLES} AND c.n IN"):
        piece = snippet(row["title"], under_way.terms)
        hits.append(
            SearchHit(
                row["id"],
                row["title"],
                None,
                None,
                piece.text,
                piece.highlights,
                ranks[row["n"]],
                row["updated_at"],
                row["head_id"],
            )
        )
    return hits


def _messages(under_way: _Search, limit: int) -> list[SearchHit]:
    if limit <= 0:
        return []
    ranks = _ranked(under_way, "message_words")
    rows = _shown(under_way, ranks, limit, f"{_MESSAGE_COLUMNS}{_SHOWN_MESSAGES} AND m.n IN")
    return [_message_hit(row, snippet(row["content"], under_way.terms), ranks[row["n"]]) for row in rows]


def _ranked(under_way: _Search, table: Table) -> dict[int, float]:
    """Return {row number: score}, best first. Weighing needs a pass over all matches, so that many
    matches (a search for one common character) are taken by date instead."""
    expression = under_way.expression
    newest = under_way.connection.execute(
        f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rowid DESC LIMIT ?",
        (expression, RANKED_HITS + 1),
    ).fetchall()
    if len(newest) > RANKED_HITS:
        return {row[0]: 0.0 for row in newest}
    weighed = under_way.connection.execute(
        f"SELECT rowid, -rank FROM {table} WHERE {table} MATCH ? ORDER BY rank, rowid DESC", (expression,)
    )
    return {row[0]: float(row[1]) for row in weighed}


def _shown(under_way: _Search, ranks: dict[int, float], limit: int, select: str) -> list[sqlite3.Row]:
    """Fetch the rows of the best matches; those in the bin, and where signs differ, fall out, so it goes
    on until enough."""
    order = list(ranks)
    rows: list[sqlite3.Row] = []
    step = max(limit, 50)
    for start in range(0, len(order), step):
        numbers = order[start : start + step]
        # Row numbers are our own whole numbers: they can stand in the statement.
        among = ",".join(str(int(number)) for number in numbers)
        fetched = under_way.connection.execute(f"{select} ({among})", under_way.values)
        by_number = {row["n"]: row for row in fetched if _stands_there(row["content"], under_way.terms)}
        rows.extend(by_number[n] for n in numbers if n in by_number)
        if len(rows) >= limit:
            break
    return rows[:limit]


def _scan(under_way: _Search, query: str, limit: int) -> list[SearchHit]:
    """Look for signs and emoji, which the index does not hold, in the newest messages."""
    rows = under_way.connection.execute(
        f"""
        {_MESSAGE_COLUMNS} {_SHOWN_MESSAGES}
        AND m.n > (SELECT coalesce(max(n), 0) - :scanned FROM messages) AND instr(m.content, :query) > 0
        ORDER BY m.n DESC LIMIT :limit
        """,
        {**under_way.values, "scanned": SCANNED_MESSAGES, "query": query, "limit": limit},
    )
    literal = [re.compile(re.escape(query))]
    return [
        _message_hit(row, _cut(row["content"], _spans(row["content"], literal), 160), 0.0) for row in rows
    ]


def _message_hit(row: sqlite3.Row, piece: Snippet, score: float) -> SearchHit:
    return SearchHit(
        conversation_id=row["conversation_id"],
        title=row["title"],
        message_id=row["id"],
        role=row["role"],
        snippet=piece.text,
        highlights=piece.highlights,
        score=score,
        created_at=row["created_at"],
        head_id=row["head_id"],
    )


def _with_heads(connection: sqlite3.Connection, hits: list[SearchHit]) -> list[SearchHit]:
    """Return the hits with the ends of the branches that hold them: the shown one where it does."""
    shown: dict[str, set[str]] = {}
    placed = []
    for hit in hits:
        if hit.message_id is not None:
            if hit.conversation_id not in shown:
                shown[hit.conversation_id] = _above(connection, hit.head_id)
            if hit.message_id not in shown[hit.conversation_id]:
                hit = replace(hit, head_id=_newest_below(connection, hit.message_id))
        placed.append(hit)
    return placed


def _above(connection: sqlite3.Connection, head_id: str | None) -> set[str]:
    """Return the ids of a branch, from its end to its beginning."""
    rows = connection.execute(
        """
        WITH RECURSIVE up (id, parent_id) AS (
            SELECT id, parent_id FROM messages WHERE id = ?
            UNION ALL SELECT m.id, m.parent_id FROM messages m JOIN up ON m.id = up.parent_id
        ) SELECT id FROM up
        """,
        (head_id,),
    )
    return {row["id"] for row in rows}


def _newest_below(connection: sqlite3.Connection, message_id: str) -> str:
    row = connection.execute(
        """
        WITH RECURSIVE below (id, n) AS (
            SELECT id, n FROM messages WHERE id = ?
            UNION ALL SELECT m.id, m.n FROM messages m JOIN below ON m.parent_id = below.id
            WHERE m.deleted_at IS NULL
        ) SELECT id FROM below ORDER BY n DESC LIMIT 1
        """,
        (message_id,),
    ).fetchone()
    return str(row["id"])
