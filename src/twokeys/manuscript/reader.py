"""Reading the Markdown of a section's text: one parser for HTML, DOCX and plain text.

It reads what models write rather than what a specification asks for: emphasis beside Chinese marks, line
breaks as they stand, sub-items indented by two blanks, formulas between $…$, $$…$$, \\(…\\), \\[…\\] or in a
bare environment ("math_inline", "math_block"), and the tags <br>, <sub> and <sup>. All other HTML is text.
A paragraph from right to left has dir="rtl". Links lead to the web and to mail only.

No picture is ever loaded: it becomes a link, at which a person can look first. Its address was chosen by
the model, or by whoever wrote what the model has read; fetching it would tell a server elsewhere that, when
and by whom the text is read, and can carry words of the conversation.

The same cases are right in the browser: tests/cases/markdown.toml.
"""

import html
import re
from collections.abc import Sequence
from functools import cache
from unicodedata import bidirectional

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, link
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from twokeys.manuscript.formula import parse_formula, to_mathml
from twokeys.manuscript.indent import indent_sub_items

FENCES = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
DISPLAYED = ("$$", "\\[")
_ENVIRONMENT = re.compile(
    r"\\begin\{((?:equation|align|aligned|alignat|gather|gathered|multline|split|cases|eqnarray"
    r"|[bpvVB]?matrix|array)\*?)\}"
)
_LIKE_FORMULA = re.compile(r"[\\^_=<>+]|^[A-Za-z]{1,2}$|^[A-Za-z]\([\w, ]+\)$")
"""Between dollars stands a formula only if it looks like one: prices and names of variables do not."""

_SHELL_NAME = re.compile(r"^[A-Z_][A-Z0-9_]+(?:\W*|[/:].*)$")
_WORD_END = re.compile(r"(?:th|st|nd|rd|s|d)\b")
_CJK = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U000323af]")
_TAG = re.compile(r"<(br)\s*/?>|<(sub|sup)>|</(sub|sup)>", re.IGNORECASE)
_OUTWARD = re.compile(r"(?:https?:|mailto:)", re.IGNORECASE)
_WITH_DIRECTION = (
    "paragraph_open",
    "heading_open",
    "list_item_open",
    "th_open",
    "td_open",
    "blockquote_open",
)


class _Reader(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return _OUTWARD.match(url.strip()) is not None


@cache
def parser() -> MarkdownIt:
    """Return the parser: CommonMark, tables and formulas, no raw HTML but three tags, no pictures."""
    made = _Reader("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
    made.core.ruler.after("normalize", "sub_items", _indent)
    made.core.ruler.push("direction", _set_direction)
    made.inline.ruler.at("emphasis", _read_emphasis)
    made.inline.ruler.before("escape", "math_inline", _read_inline)
    made.inline.ruler.before("autolink", "tags", _read_tag)
    made.inline.ruler.before("link", "picture", _read_picture)
    made.block.ruler.before(
        "fence", "math_block", _read_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    for name in ("math_inline", "math_block"):
        made.add_render_rule(name, _render)
    return made


def read(text: str) -> list[Token]:
    """Return the tokens of a Markdown text."""
    return parser().parse(text)


def runs_right_to_left(text: str) -> bool:
    """Return whether the first letter of a text belongs to a script that is written from the right."""
    kinds = (bidirectional(char) for char in text)
    return next((kind in ("R", "AL") for kind in kinds if kind in ("L", "R", "AL")), False)


# ---- the whole text -------------------------------------------------------------------------


def _indent(state: StateCore) -> None:
    state.src = indent_sub_items(state.src)


def _set_direction(state: StateCore) -> None:
    """Give every block the direction of its own first letter."""
    opened: list[Token] = []
    for token in state.tokens:
        if token.type in _WITH_DIRECTION:
            opened.append(token)
        elif token.type == "inline":
            if runs_right_to_left(token.content):
                for block in opened:
                    block.attrSet("dir", "rtl")
            opened.clear()


# ---- within a paragraph ---------------------------------------------------------------------


def _read_emphasis(state: StateInline, silent: bool) -> bool:
    """Read stars and underscores as CommonMark does, except beside Chinese and its like.

    In **注意：**后面 the closing stars stand between a mark and a letter, which CommonMark takes for no
    end. These scripts have no blanks there, so a neighbour of theirs counts like one.
    """
    marker = state.src[state.pos]
    if silent or marker not in "_*":
        return False
    scanned = state.scanDelims(state.pos, marker == "*")
    can_open, can_close = scanned.can_open, scanned.can_close
    end = state.pos + scanned.length
    before, after = state.src[state.pos - 1 : state.pos] or " ", state.src[end : end + 1] or " "
    if marker == "*" and not (can_open and can_close) and (_CJK.match(before) or _CJK.match(after)):
        can_open, can_close = not after.isspace(), not before.isspace()
    for _ in range(scanned.length):
        state.push("text", "", 0).content = marker
        state.delimiters.append(
            Delimiter(
                marker=ord(marker),
                length=scanned.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=can_open,
                close=can_close,
            )
        )
    state.pos = end
    return True


def _read_tag(state: StateInline, silent: bool) -> bool:
    """Read <br>, <sub>…</sub> and <sup>…</sup>; a tag without its other half is text."""
    match = _TAG.match(state.src, state.pos, state.posMax)
    if match is None or match[3]:
        return False
    if match[1]:
        if not silent:
            state.push("hardbreak", "br", 0)
        state.pos = match.end()
        return True
    name = match[2].lower()
    closing = re.compile(f"</{name}>", re.IGNORECASE).search(state.src, match.end(), state.posMax)
    if closing is None:
        return False
    if not silent:
        end = state.posMax
        state.push(f"{name}_open", name, 1)
        state.pos, state.posMax = match.end(), closing.start()
        state.md.inline.tokenize(state)
        state.push(f"{name}_close", name, -1)
        state.posMax = end
    state.pos = closing.end()
    return True


def _read_picture(state: StateInline, silent: bool) -> bool:
    """Read a picture as a link with its words."""
    if not state.src.startswith("![", state.pos):
        return False
    state.pos += 1
    if link(state, silent):
        return True
    state.pos -= 1
    return False


def _read_inline(state: StateInline, silent: bool) -> bool:
    environment = _ENVIRONMENT.match(state.src, state.pos, state.posMax)
    if environment is not None:
        return _read_environment(state, environment, silent)
    opening = next((fence for fence in FENCES if state.src.startswith(fence, state.pos)), None)
    if opening is None:
        return False
    closing, start = FENCES[opening], state.pos + len(opening)
    end = state.src.find(closing, start, state.posMax)
    content = state.src[start:end] if end >= 0 else ""
    after = state.src[end + len(closing) :] if end >= 0 else ""
    if not _LIKE_FORMULA.search(content.strip()) or "`" in content:
        return False
    if opening == "$" and not _between_dollars(content, after):
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup = content.strip(), opening
    state.pos = end + len(closing)
    return True


def _between_dollars(content: str, after: str) -> bool:
    """Whether what stands between two dollars is a formula: no price, and no variable of a shell."""
    if content != content.strip() or after[:1].isdigit() or _SHELL_NAME.match(content):
        return False
    glued = after[:1].isascii() and (after[:1].isalpha() or after[:1] in "_{") and bool(after[:1])
    return not glued or bool(_WORD_END.match(after))


def _read_environment(state: StateInline, match: re.Match[str], silent: bool) -> bool:
    closing = f"\\end{{{match[1]}}}"
    end = state.src.find(closing, match.end(), state.posMax)
    if end < 0:
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup = state.src[state.pos : end + len(closing)], "\\["
    state.pos = end + len(closing)
    return True


# ---- blocks ---------------------------------------------------------------------------------


def _read_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a formula that begins a line; what stands behind its end begins a block of its own."""
    first = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]].strip()
    environment = _ENVIRONMENT.match(first)
    opening = next((fence for fence in DISPLAYED if first.startswith(fence)), "")
    if not (opening or environment) or state.is_code_block(start_line):
        return False
    closing = FENCES[opening] if environment is None else f"\\end{{{environment[1]}}}"
    lines, line, text = [], start_line, first.removeprefix(opening)
    while (at := text.find(closing)) < 0:
        lines.append(text)
        line += 1
        if line >= end_line or state.isEmpty(line):
            return False
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()
    rest = text[at + len(closing) :]
    if line == start_line and rest.strip():
        return False  # one of several things in a line
    if rest.strip() and closing in rest:
        return False
    if not silent:
        token = state.push("math_block", "math", 0)
        end = closing if environment is not None else ""
        token.content = "\n".join([*lines, text[:at] + end]).strip()
        token.markup, token.block = opening or "\\[", True
        token.map = [start_line, line + 1]
        state.line = line + 1
        if rest.strip():
            _begin_line_at(state, line, len(rest.lstrip()))
            state.line = line
    return True


def _begin_line_at(state: StateBlock, line: int, length: int) -> None:
    """Leave only the last `length` characters of a line (without the blanks at its end) to be read."""
    end = state.bMarks[line] + len(state.src[state.bMarks[line] : state.eMarks[line]].rstrip())
    state.bMarks[line], state.tShift[line], state.sCount[line] = end - length, 0, state.blkIndent


def _render(_renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object) -> str:
    token = tokens[index]
    display = token.type == "math_block" or token.markup in DISPLAYED
    formula = parse_formula(token.content)
    if formula is not None:
        return to_mathml(formula, display=display)
    source = f'<code class="tex">{html.escape(token.content)}</code>'
    return f"<p>{source}</p>" if token.type == "math_block" else source
