"""Reading the Markdown of a section's text: one parser for HTML, DOCX and plain text.

HTML in the text is text; pictures from elsewhere are not loaded but become links. Formulas between
$…$, $$…$$, \\(…\\) and \\[…\\] are tokens of their own ("math_inline", "math_block").
"""

import html
import re
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from twokeys.manuscript.formula import parse_formula, to_mathml

FENCES = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
DISPLAYED = ("$$", "\\[")
_LIKE_FORMULA = re.compile(r"[\\^_=<>+]|^[A-Za-z]{1,2}$|^[A-Za-z]\([\w, ]+\)$")
"""Between dollars stands a formula only if it looks like one: prices and names of variables do not."""


@cache
def parser() -> MarkdownIt:
    """Return the parser: CommonMark, tables and formulas, no raw HTML, no pictures."""
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.inline.ruler.before("escape", "math_inline", _read_inline)
    made.block.ruler.before(
        "fence", "math_block", _read_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    for name in ("math_inline", "math_block"):
        made.add_render_rule(name, _render)
    return made


def read(text: str) -> list[Token]:
    """Return the tokens of a Markdown text."""
    return parser().parse(text)


def _read_inline(state: StateInline, silent: bool) -> bool:
    opening = next((one for one in FENCES if state.src.startswith(one, state.pos)), None)
    if opening is None:
        return False
    closing, start = FENCES[opening], state.pos + len(opening)
    end = state.src.find(closing, start, state.posMax)
    content = state.src[start:end] if end >= 0 else ""
    after = state.src[end + len(closing) : end + len(closing) + 1]
    if not _LIKE_FORMULA.search(content.strip()) or "`" in content:
        return False
    if opening == "$" and (content != content.strip() or after.isdigit()):
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup = content.strip(), opening
    state.pos = end + len(closing)
    return True


def _read_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    first = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]].strip()
    opening = next((one for one in DISPLAYED if first.startswith(one)), None)
    if opening is None or state.is_code_block(start_line):
        return False
    closing, lines, line = FENCES[opening], [first.removeprefix(opening)], start_line
    while not lines[-1].endswith(closing):
        line += 1
        if line >= end_line or state.isEmpty(line):
            return False
        lines.append(state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip())
    if closing in "\n".join(lines)[: -len(closing)]:
        return False
    if not silent:
        token = state.push("math_block", "math", 0)
        token.content, token.markup, token.block = "\n".join(lines)[: -len(closing)].strip(), opening, True
        token.map = [start_line, line + 1]
        state.line = line + 1
    return True


def _render(_renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object) -> str:
    token = tokens[index]
    display = token.type == "math_block" or token.markup in DISPLAYED
    formula = parse_formula(token.content)
    if formula is not None:
        return to_mathml(formula, display=display)
    source = f'<code class="tex">{html.escape(token.content)}</code>'
    return f"<p>{source}</p>" if token.type == "math_block" else source
