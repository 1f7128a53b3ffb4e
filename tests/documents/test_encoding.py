"""The encoding of a file of text: what marks it, what it declares, what is likely, and what is no text."""

import codecs

import pytest

from twokeys.documents.encoding import decode
from twokeys.documents.refusal import Refusal

CHINESE = "绿茶的产地在浙江，红茶的产地在安徽。" * 8


@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    ],
)
def test_a_mark_at_the_beginning_says_the_encoding_and_is_not_in_the_text(
    mark: bytes, codec: str, name: str
) -> None:
    decoded = decode(mark + CHINESE.encode(codec))
    assert (decoded.text, decoded.encoding) == (CHINESE, name)


@pytest.mark.parametrize("codec", ["gb18030", "big5", "cp1252", "shift_jis", "euc_kr"])
def test_a_text_without_a_mark_is_read_in_the_encoding_that_is_likely(codec: str) -> None:
    text = {
        "gb18030": CHINESE,
        "big5": "綠茶的產地在浙江，紅茶的產地在安徽。" * 8,
        "cp1252": "Über die Größe der Öfen: schön, süß, façade, déjà vu. " * 8,
        "shift_jis": "お茶の産地は静岡です。とてもおいしいです。" * 8,
        "euc_kr": "녹차의 산지는 보성입니다. 아주 맛있습니다. " * 8,
    }[codec]
    assert decode(text.encode(codec)).text == text


def test_a_few_chinese_characters_are_no_accents() -> None:
    assert decode("茶".encode("gb2312")) == decode("茶".encode("gbk"))
    assert decode("tea: 绿茶".encode("gb2312")).text == "tea: 绿茶"


def test_a_page_is_read_in_the_encoding_it_declares_only_where_it_may_declare_one() -> None:
    declared = "<?xml version='1.0' encoding='iso-8859-1'?><p>Größe".encode("latin-1")
    assert decode(declared, declares=True).encoding == "cp1252"
    assert decode(declared, declares=True).text.endswith("Größe")
    assert decode(b'<p charset="klingon">tea', declares=True).encoding == "utf-8"
    assert decode(b"encoding=utf-16 is what this text is about").encoding == "utf-8"


def test_line_ends_of_every_system_become_one() -> None:
    assert decode(b"a\r\nb\rc\n").text == "a\nb\nc\n"


def test_a_sample_that_ends_inside_a_character_is_read_all_the_same() -> None:
    text = "a" + CHINESE * 1000
    assert decode(text.encode("gb18030")).text == text


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03" * 40, bytes(range(256)) * 4, b"tea\x01and milk"])
def test_what_holds_control_characters_is_no_text(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        decode(data)
    assert caught.value.problem == "not_text"
