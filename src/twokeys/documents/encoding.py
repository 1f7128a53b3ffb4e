"""The encoding of a file of text: marked, declared, UTF-8, else the most likely of those in use."""

import codecs
import re
from dataclasses import dataclass

from twokeys.documents.refusal import Refusal

LIKELY = ("gb18030", "big5", "cp1252", "utf_16_le", "utf_16_be", "shift_jis", "euc_kr")
"""What is tried where nothing says the encoding; more of them would be taken for one another."""

SAMPLE_BYTES = 200_000
SHORT_BYTES = 48
"""With fewer bytes beyond ASCII, their frequencies say nothing."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9._:-]+)")
_SAME_FAMILY = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "latin-1": "cp1252"}
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the name of the encoding it was in."""

    text: str
    encoding: str


def decode(data: bytes, *, declares: bool = False) -> Decoded:
    """Return the text of a file, its line ends as "\\n".

    declares: the text itself may name its encoding, as HTML and XML do. Raises Refusal "broken" for
    what is no text.
    """
    for name in (*_marked(data), *(_declared(data) if declares else ()), "utf-8"):
        if (text := _as(data, name)) is not None and not _CONTROLS.search(text):
            return Decoded(_with_plain_line_ends(text), name)
    name = _most_likely(data)
    text = _as(data, name) if name else None
    if name is None or text is None or _CONTROLS.search(text):
        raise Refusal("not_text")
    return Decoded(_with_plain_line_ends(text), name)


def _marked(data: bytes) -> list[str]:
    return [name for mark, name in _MARKS if data.startswith(mark)][:1]


def _declared(data: bytes) -> list[str]:
    names = [match[1].decode("ascii").lower() for match in _DECLARED.finditer(data[:4096])]
    return [_SAME_FAMILY.get(name, name) for name in names if _known(name)]


def _known(name: str) -> bool:
    try:
        return codecs.lookup(name).name != "undefined"
    except (LookupError, ValueError):
        return False


def _as(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name).removeprefix("\ufeff")
    except (UnicodeError, LookupError):
        return None


def _most_likely(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    beyond_ascii = sum(byte > 127 for byte in data[:SAMPLE_BYTES])
    if 0 < beyond_ascii < SHORT_BYTES and b"\x00" not in data and _as(data, "gb2312") is not None:
        return "gb18030"
    if not beyond_ascii and b"\x00" not in data:
        return None  # two letters would be taken for a character of UTF-16
    best = from_bytes(data[:SAMPLE_BYTES], cp_isolation=list(LIKELY)).best()
    if best is None and len(data) > SAMPLE_BYTES:  # the sample may have ended inside a character
        best = from_bytes(data[: SAMPLE_BYTES - 1], cp_isolation=list(LIKELY)).best()
    return None if best is None else best.encoding


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
