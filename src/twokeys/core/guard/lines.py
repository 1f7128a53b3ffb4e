"""Whether the text being written is code or data although no fence says so.

Judges line by line from signs that prose does not have, and needs most of the recent lines to agree.
Knows no language's grammar, and says nothing about a single line.
"""

import re
from collections import deque

RECENT = 8
"""So many of the last lines with anything on them are looked at."""

SHARE = 0.6
"""Among them so many must look like code."""

_WORDS = (
    "import|from|package|def|class|func|fn|pub|impl|use|let|const|var|val|return|if|for|while|switch|case|public|"
    "private|protected|static|void|struct|enum|typedef|template|require|module|begin|end|elsif|else"
)
_SQL = (
    "CREATE|ALTER|DROP|INSERT|SELECT|UPDATE|DELETE|GRANT|REVOKE|COMMENT ON|FROM|WHERE|LEFT JOIN|JOIN|VALUES|"
    "RETURNS?|LANGUAGE|AS|SET|WHEN|UNION|ORDER BY|GROUP BY|LEFTARG|RIGHTARG|PROCEDURE|COMMUTATOR|NEGATOR|"
    "RESTRICT|FUNCTION|OPERATOR|STORAGE"
)
_STATEMENT = re.compile(
    r"[;{}\\]\s*$|\){2,}\s*$|[\[{(]\s*$|^\s*[\]})]|\w\([^()]*\)[,;]?\s*$"  # brackets, ends of statements
    r"|^\s*(?://|/\*|\*/|\* @|#include|#define|#if|#end|#!|--|;;|<[/!?a-z]|@\w+$)"  # comments, markup
    rf"|^\s*(?:{_WORDS})\b[^.。]*[\w({{:;)\]]\s*$"
    rf"|^\s*(?:{_SQL})\b"
    r"|^\s*\([a-z][\w*-]*[\s)]"  # (define-key …
    r"|^\s*[\"'][^\"']*[\"']\s*[:,+]|^\s*[\w.\"'-]+\s*(?::=|=>|=)\s*\S"  # "key": …, name = …
    r"|::|->|\w\(\)|\w_\w.*\w_\w|[a-z][A-Z]\w*\("
    r"|^\s*-{3,}[-+\s]*$|^\s*\(\d+ \w+\)\s*$|\S \| \S|^\[?[A-Z]{3,}\]?:? "  # rules, counts, cells, levels
    r"|\b\d\d:\d\d:\d\d\b|^\d{4}-\d\d-\d\d\b"  # times of a log
    r"|^[^\s,]*(?:,[^\s,]*){3,}$|^\s*(?:null|nil|None|true|false|\d+),?\s*$"  # rows of values
)
"""Signs of a line of code, markup or data; each is rare at a line of prose."""


class Lines:
    """Feed it whole lines; `are_code` tells about the stretch they make up."""

    __slots__ = ("_recent", "are_code")

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self.are_code = False

    def read(self, line: str) -> None:
        """Read one line; blank lines say nothing."""
        if not line.strip():
            return
        self._recent.append(_STATEMENT.search(line) is not None)
        seen = len(self._recent)
        self.are_code = seen >= 2 and sum(self._recent) >= SHARE * seen
