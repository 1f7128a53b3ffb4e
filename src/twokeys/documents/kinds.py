"""Which reader reads what: the kinds of documents, by the endings of their names."""

from dataclasses import dataclass

from twokeys.documents.document import Passage, Unit

CODE = frozenset(
    (  # noqa: SIM905  a list would be a line for each
        "py pyi js mjs ts tsx jsx c h cc cpp hpp cs java kt kts go rs rb php swift scala lua r pl pm sh bash"
        " zsh fish ps1 bat sql css scss less toml yaml yml ini cfg conf tex bib vue svelte dart m mm hs ml"
        " ex exs erl clj lisp el vim jl nim zig f90 pas asm s proto graphql tf cmake gradle dockerfile"
        " makefile diff patch xml xsd xsl"
    ).split()
)
KINDS: dict[str, str] = {
    **dict.fromkeys(("txt", "text", "log", "srt", "vtt"), "text"),
    **dict.fromkeys(("md", "markdown", "mdown", "rst"), "markdown"),
    **dict.fromkeys(CODE, "code"),
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    **dict.fromkeys(("json", "jsonl", "ndjson", "ipynb"), "json"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    "pdf": "pdf",
    **dict.fromkeys(("docx", "docm", "dotx"), "docx"),
    **dict.fromkeys(("xlsx", "xlsm"), "xlsx"),
    **dict.fromkeys(("pptx", "pptm"), "pptx"),
    "epub": "epub",
}
"""The kind of a file by its ending."""

UNITS: dict[str, Unit] = {"pdf": "page", "pptx": "slide", "xlsx": "sheet", "epub": "chapter"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader found in a file."""

    unit: Unit
    passages: list[Passage]
    encoding: str | None = None


def ending_of(name: str) -> str:
    """Return what a name ends with, in small letters: the whole name where it has no dot."""
    return name.lower().rpartition(".")[2]


def kind_of(name: str) -> str | None:
    """Return the kind of a file, None for one that nothing here reads."""
    return KINDS.get(ending_of(name))


def read_as(kind: str, data: bytes, ending: str) -> Contents:
    """Read a file as one of a kind. Raises Refusal, or what a library raises for a broken file."""
    unit = UNITS.get(kind, "section")
    if kind in ("pdf", "docx", "xlsx", "pptx", "epub"):
        return Contents(unit, _read_binary(kind, data))
    passages, encoding = _read_text(kind, data, ending)
    return Contents(unit, passages, encoding)


def _read_binary(kind: str, data: bytes) -> list[Passage]:
    if kind == "pdf":
        from twokeys.documents.pdf import read_pdf

        return read_pdf(data)
    if kind == "docx":
        from twokeys.documents.word import read_docx

        return read_docx(data)
    if kind == "xlsx":
        from twokeys.documents.workbook import read_xlsx

        return read_xlsx(data)
    if kind == "pptx":
        from twokeys.documents.slides import read_pptx

        return read_pptx(data)
    from twokeys.documents.epub import read_epub

    return read_epub(data)


def _read_text(kind: str, data: bytes, ending: str) -> tuple[list[Passage], str]:
    from twokeys.documents import plain

    if kind == "html":
        from twokeys.documents.html import read_html

        return read_html(data)
    if kind in ("csv", "tsv"):
        return plain.read_values(data, tabs=kind == "tsv")
    if kind == "json":
        return plain.read_json(data, lines=ending in ("jsonl", "ndjson"))
    if kind == "code":
        return plain.read_code(data, ending)
    return plain.read_prose(data)
