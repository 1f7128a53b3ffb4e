"""Formulas: the TeX that models write, read into a small tree; from it Word's formulas and MathML.

Fractions, roots, scripts, accents, brackets that grow, aligned lines, matrices, Greek letters and the usual
signs. What is not known (macros), or is nested deeper than a person would, is no formula for us:
`parse_formula` returns None, and the document shows the source.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from docx.oxml import OxmlElement
from docx.oxml.ns import qn

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:[.,]\d+)*|\s+|.", re.DOTALL)


def _pairs(listed: str) -> dict[str, str]:
    words = listed.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_LETTERS = _pairs(
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa "
    "κ lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω "
    "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω "
)
_OTHERS = _pairs(
    "times × cdot · div ÷ pm ± mp ∓ le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ approx ≈ equiv ≡ sim ∼ propto ∝ "
    "infty ∞ partial ∂ nabla ∇ in ∈ notin ∉ subset ⊂ cup ∪ cap ∩ forall ∀ exists ∃ to → rightarrow → "
    "leftarrow ← Rightarrow ⇒ Leftrightarrow ⇔ ldots … dots … cdots ⋯ sum ∑ prod ∏ int ∫ ell ℓ hbar ℏ "
    "degree ° circ ∘ ast ∗ mid ∣ langle ⟨ rangle ⟩ "
)
_SIGNS = _LETTERS | _OTHERS | {mark: mark for mark in "{}$%&_#|"}
_SPACES = {",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": " ", "qquad": "  "}
_FUNCTIONS = _names("sin cos tan log ln exp max min lim arg det dim mod gcd sup inf Pr")
_ACCENTS = _pairs("hat \u0302 bar \u0305 overline \u0305 vec \u20d7 tilde \u0303 dot \u0307")
_MARKS = {"\u0302": "^", "\u0305": "‾", "\u20d7": "→", "\u0303": "~", "\u0307": "˙"}
_TEXTS = _names("text mathrm textrm mathbf textbf mathit operatorname mathcal mathbb")
_SIZES = _names("big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits")
_LIMITS = "∑∏"
_ALIGNED = _names("align aligned alignat eqnarray split")
_ONE_COLUMN = _names("gather gathered multline equation")
_MATRICES = {
    "matrix": ("", ""),
    "array": ("", ""),
    "pmatrix": ("(", ")"),
    "bmatrix": ("[", "]"),
    "Bmatrix": ("{", "}"),
    "vmatrix": ("|", "|"),
    "Vmatrix": ("‖", "‖"),
}
_SILENT = _names("nonumber notag hline")

MAX_DEPTH = 40
"""Things within things; a model that loops nests hundreds."""
MAX_COLUMNS = 30

Kind = Literal["letter", "number", "sign", "text"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """Characters without parts of their own."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class FormulaRow:
    """One thing after the other; with brackets around it that grow, where there are any."""

    parts: tuple["Node", ...]
    brackets: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Fraction:
    above: "Node"
    below: "Node"


@dataclass(frozen=True, slots=True)
class Root:
    body: "Node"
    degree: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Scripts:
    base: "Node"
    low: "Node | None" = None
    high: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Accent:
    body: "Node"
    mark: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells, each with as many: aligned lines, cases, a matrix. columns: "left", "right" or "center"
    each."""

    rows: tuple[tuple[FormulaRow, ...], ...]
    columns: tuple[str, ...]
    brackets: tuple[str, str] = ("", "")


Node = Symbol | FormulaRow | Fraction | Root | Scripts | Accent | Grid


class _Unknown(Exception):
    """Something that is not read here."""


def parse_formula(source: str) -> FormulaRow | None:
    """Return a formula as a tree; None where it holds something that is not known."""
    try:
        return _FormulaReader(_TOKEN.findall(source)).row(None)
    except _Unknown:
        return None


class _FormulaReader:
    """Reads tokens one after the other."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = list(tokens)
        self._at = 0
        self._depth = 0

    def row(self, end: str | None) -> FormulaRow:
        """Read up to a token, or to the end of the formula."""
        parts: list[Node] = []
        while (token := self._peek()) != end:
            if token is None or token in ("}", "\\right"):
                raise _Unknown
            part = self._scripted()
            if part is not None:
                parts.append(part)
        if end is not None:
            self._at += 1
        return FormulaRow(tuple(parts))

    def _peek(self) -> str | None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self._peek()
        if token is None:
            raise _Unknown
        self._at += 1
        return token

    def _scripted(self) -> Node | None:
        base = FormulaRow(()) if self._peek() in ("_", "^") else self._atom()
        low: Node | None = None
        high: Node | None = None
        while (token := self._peek()) in ("_", "^", "'"):
            self._at += 1
            if token == "_" and low is None:
                low = self._argument()
            elif token == "^" and high is None:
                high = self._argument()
            elif token == "'" and high is None:
                high = Symbol("′", "sign")
            else:
                raise _Unknown
        if low is None and high is None:
            return base
        return Scripts(base or FormulaRow(()), low, high)

    def _argument(self) -> Node:
        atom = self._atom()
        if atom is None:
            raise _Unknown
        return atom

    def _atom(self) -> Node | None:
        """Read one thing; None for what shows nothing."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unknown
        atom = self._single()
        self._depth -= 1
        return atom

    def _single(self) -> Node | None:
        token = self._next()
        if token == "{":
            return self.row("}")
        if token in ("&", "#", "%", "~") or token == "\\\\":
            raise _Unknown
        if not token.startswith("\\"):
            kind: Kind = "number" if token[0].isdigit() else "letter" if token.isalpha() else "sign"
            return Symbol("−" if token == "-" else token, kind)
        return self._command(token[1:])

    def _command(self, name: str) -> Node | None:
        if name in ("frac", "dfrac", "tfrac"):
            return Fraction(self._argument(), self._argument())
        if name == "sqrt":
            degree = None
            if self._peek() == "[":
                self._at += 1
                degree = self.row("]")
            return Root(self._argument(), degree)
        if name == "left":
            opening = self._bracket()
            body = self.row("\\right")
            return FormulaRow(body.parts, (opening, self._bracket()))
        if name == "begin":
            return self._environment()
        if name in ("tag", "label"):
            label = self._text().text
            return Symbol(f"  ({label})", "text") if name == "tag" else None
        if name in _TEXTS:
            return self._text()
        if name in _ACCENTS:
            return Accent(self._argument(), _ACCENTS[name])
        if name in _FUNCTIONS:
            return Symbol(name, "text")
        if name in _SPACES:
            return Symbol(_SPACES[name], "text") if _SPACES[name] else None
        if name in _SIZES or name in _SILENT:
            return None
        if name in _SIGNS:
            sign = _SIGNS[name]
            return Symbol(sign, "letter" if sign.isalpha() else "sign")
        raise _Unknown

    def _environment(self) -> Node:
        """Read what stands between \\begin{name} and \\end{name}."""
        name = self._text().text
        bare = name.removesuffix("*")
        if bare in ("array", "alignat"):
            self._text()  # columns
        rows = self._rows(name)
        count = max(len(row) for row in rows)
        if bare == "cases":
            columns, brackets = ("left",) * count, ("{", "")
        elif bare in _ALIGNED:
            columns, brackets = tuple(("right", "left")[at % 2] for at in range(count)), ("", "")
        elif bare in _MATRICES:
            columns, brackets = ("center",) * count, _MATRICES[bare]
        elif bare in _ONE_COLUMN and count == 1:
            columns, brackets = ("center",), ("", "")
        else:
            raise _Unknown
        if len(rows) == 1 and count == 1 and brackets == ("", ""):
            return rows[0][0]
        filled = tuple((*row, *[FormulaRow(())] * (count - len(row))) for row in rows)
        return Grid(filled, columns, brackets)

    def _rows(self, name: str) -> list[list[FormulaRow]]:
        rows: list[list[FormulaRow]] = [[]]
        parts: list[Node] = []
        while (token := self._peek()) is not None:
            if token in ("&", "\\\\", "\\end"):
                self._at += 1
                rows[-1].append(FormulaRow(tuple(parts)))
                parts = []
                if len(rows[-1]) > MAX_COLUMNS:
                    raise _Unknown
                if token == "\\end":
                    if self._text().text != name:
                        raise _Unknown
                    if len(rows) > 1 and rows[-1] == [FormulaRow(())]:
                        rows.pop()  # the last line ended with a line break
                    return rows
                if token == "\\\\":
                    rows.append([])
                continue
            if token in ("}", "\\right"):
                raise _Unknown
            part = self._scripted()
            if part is not None:
                parts.append(part)
        raise _Unknown

    def _bracket(self) -> str:
        token = self._next()
        if token.startswith("\\"):
            token = _SIGNS.get(token[1:], "")
            if not token:
                raise _Unknown
        return "" if token == "." else token

    def _text(self) -> Symbol:
        """Read words in braces as they stand."""
        if self._next() != "{":
            raise _Unknown
        words: list[str] = []
        while self._at < len(self._tokens) and (token := self._tokens[self._at]) != "}":
            if token.startswith("\\") or token == "{":
                raise _Unknown
            words.append(token)
            self._at += 1
        self._next()
        return Symbol("".join(words), "text")


def to_word(formula: FormulaRow) -> Any:
    """Return a formula as Word's m:oMath."""
    return _element("m:oMath", *_word_parts(formula))


def to_mathml(formula: FormulaRow, *, display: bool) -> str:
    """Return a formula as MathML."""
    block = ' display="block"' if display else ""
    return f"<math{block}>{_markup(formula)}</math>"


def _element(name: str, *children: object, **attributes: str) -> object:
    made = OxmlElement(name)
    for key, value in attributes.items():
        made.set(qn(f"m:{key}"), value)
    for child in children:
        made.append(child)
    return made


def _word_parts(node: Node) -> list[object]:
    """Return what stands for a node within an element of Word's."""
    match node:
        case FormulaRow(parts, brackets):
            inner = [element for part in parts for element in _word_parts(part)]
            if brackets is None:
                return inner
            around = [_element("m:begChr", val=brackets[0]), _element("m:endChr", val=brackets[1])]
            return [_element("m:d", _element("m:dPr", *around), _element("m:e", *inner))]
        case Grid():
            return [_word_grid(node)]
        case Fraction(above, below):
            return [_element("m:f", _holding("m:num", above), _holding("m:den", below))]
        case Root(body, degree):
            hidden = [] if degree else [_element("m:radPr", _element("m:degHide", val="1"))]
            return [
                _element("m:rad", *hidden, _holding("m:deg", degree or FormulaRow(())), _holding("m:e", body))
            ]
        case Accent(body, mark):
            return [
                _element("m:acc", _element("m:accPr", _element("m:chr", val=mark)), _holding("m:e", body))
            ]
        case Scripts(Symbol(text, _) as base, low, high) if text in _LIMITS or text == "lim":
            made = _word_run(base)
            if low is not None:
                made = _element("m:limLow", _element("m:e", made), _holding("m:lim", low))
            if high is not None:
                made = _element("m:limUpp", _element("m:e", made), _holding("m:lim", high))
            return [made]
        case Scripts(base, low, high):
            name = "m:sSubSup" if low and high else "m:sSub" if low else "m:sSup"
            scripts = [_holding(tag, script) for tag, script in (("m:sub", low), ("m:sup", high)) if script]
            return [_element(name, _holding("m:e", base), *scripts)]
        case Symbol():
            return [_word_run(node)]


def _word_grid(grid: Grid) -> object:
    kinds = [
        _element("m:mc", _element("m:mcPr", _element("m:count", val="1"), _element("m:mcJc", val=column)))
        for column in grid.columns
    ]
    rows = [_element("m:mr", *(_holding("m:e", cell) for cell in row)) for row in grid.rows]
    matrix = _element("m:m", _element("m:mPr", _element("m:mcs", *kinds)), *rows)
    if grid.brackets == ("", ""):
        return matrix
    around = [_element(f"m:{n}Chr", val=mark) for n, mark in zip(("beg", "end"), grid.brackets, strict=True)]
    return _element("m:d", _element("m:dPr", *around), _element("m:e", matrix))


def _holding(name: str, node: Node) -> object:
    return _element(name, *_word_parts(node))


def _word_run(piece: Symbol) -> object:
    run = OxmlElement("m:r")
    if piece.kind in ("text", "number"):
        run.append(_element("m:rPr", _element("m:sty", val="p")))
    look, fonts = OxmlElement("w:rPr"), OxmlElement("w:rFonts")
    for name in ("w:ascii", "w:hAnsi"):
        fonts.set(qn(name), "Cambria Math")
    look.append(fonts)
    run.append(look)
    text = OxmlElement("m:t")
    text.set(qn("xml:space"), "preserve")
    text.text = piece.text
    run.append(text)
    return run


def _markup(node: Node) -> str:
    match node:
        case FormulaRow(parts, brackets):
            opening, closing = brackets or ("", "")
            inner = "".join(_markup(part) for part in parts)
            before = f"<mo>{html.escape(opening)}</mo>" if opening else ""
            after = f"<mo>{html.escape(closing)}</mo>" if closing else ""
            return f"<mrow>{before}{inner}{after}</mrow>"
        case Grid(rows, columns, (opening, closing)):
            cells = ("".join(f"<mtd>{_markup(cell)}</mtd>" for cell in row) for row in rows)
            table = "".join(f"<mtr>{row}</mtr>" for row in cells)
            before = f"<mo>{html.escape(opening)}</mo>" if opening else ""
            after = f"<mo>{html.escape(closing)}</mo>" if closing else ""
            align = " ".join(columns)
            return f'<mrow>{before}<mtable columnalign="{align}">{table}</mtable>{after}</mrow>'
        case Fraction(above, below):
            return f"<mfrac>{_markup(above)}{_markup(below)}</mfrac>"
        case Root(body, None):
            return f"<msqrt>{_markup(body)}</msqrt>"
        case Root(body, degree):
            return f"<mroot>{_markup(body)}{_markup(degree or FormulaRow(()))}</mroot>"
        case Accent(body, mark):
            return f'<mover accent="true">{_markup(body)}<mo>{_MARKS[mark]}</mo></mover>'
        case Scripts(base, low, high):
            under = isinstance(base, Symbol) and (base.text in _LIMITS or base.text == "lim")
            first, second, both = ("munder", "mover", "munderover") if under else ("msub", "msup", "msubsup")
            name = both if low and high else first if low else second
            scripts = "".join(_markup(script) for script in (low, high) if script is not None)
            return f"<{name}>{_markup(base)}{scripts}</{name}>"
        case Symbol(text, kind):
            name = {"letter": "mi", "number": "mn", "sign": "mo", "text": "mtext"}[kind]
            return f"<{name}>{html.escape(text)}</{name}>"
