"""HTML as Markdown: what a reader of the page sees, in its order, and nothing that is hidden."""

import pytest

from twokeys.documents.html import markdown_of_html, read_html
from twokeys.documents.refusal import Refusal


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<h2>Tea</h2><p>Green and\n black</p>", "## Tea\n\nGreen and\nblack"),
        ("<p>one<br>two</p>", "one\ntwo"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c"),
        ("<ol><li>first</li><li>second</li></ol>", "1. first\n2. second"),
        ("<pre>x = 1\n  y</pre>", "```\nx = 1\n  y\n```"),
        ('<p>A <a href="https://example.org">link</a> and <img src="x" alt="a cup">', "A link and a cup"),
        (
            "<table><tr><th>tea<th>price<tr><td>green<td>12</table>",
            "| tea | price |\n| --- | --- |\n| green | 12 |",
        ),
        (
            '<table><tr><td colspan="2">wide<td>c<tr><td>1<td>2<td>3</table>',
            "| wide |  | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |",
        ),
    ],
)
def test_what_a_page_shows_comes_out_as_markdown(source: str, text: str) -> None:
    assert markdown_of_html(source) == text


def test_what_no_reader_sees_is_left_out() -> None:
    page = (
        "<html><head><title>no</title><style>p{}</style></head><body><script>no()</script>"
        "<p hidden>no</p><!-- no --><noscript>no</noscript><template>no</template><p>yes</p>"
    )
    assert markdown_of_html(page) == "yes"


def test_a_table_within_a_table_is_read_once() -> None:
    page = "<table><tr><td>outer<table><tr><td>inner</table></table>"
    assert markdown_of_html(page).count("inner") == 1


def test_a_caption_stands_above_its_table() -> None:
    page = "<table><caption>Prices</caption><tr><td>1</table>"
    assert markdown_of_html(page).startswith("Prices\n\n| 1 |")


def test_a_span_that_says_millions_is_a_hundred_at_most() -> None:
    page = '<table><tr><td colspan="90000000">a<td>b</table>'
    assert markdown_of_html(page).splitlines()[0].count("|") == 102


def test_a_page_is_split_at_its_headings_in_the_encoding_it_declares() -> None:
    page = '<meta charset="gbk"><h1>茶</h1><p>绿茶</p><h1>咖啡</h1><p>黑</p>'.encode("gbk")
    passages, encoding = read_html(page)
    assert [passage.title for passage in passages] == ["茶", "咖啡"] and encoding == "gb18030"


def test_a_page_of_nothing_is_refused() -> None:
    with pytest.raises(Refusal):
        markdown_of_html("")
