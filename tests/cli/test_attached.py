"""Documents handed to a command: which pages are taken, what is said of them, what is counted and kept."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from twokeys.cli.attached import FileRead, attached, material_tokens, passage_lines, read_files
from twokeys.cli.output import Output
from twokeys.config import load_config
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import BadDocument, BadInput, BadParameter, DocumentsTooLong
from twokeys.services import Services, build_services


@pytest.fixture
def services() -> Iterator[Services]:
    built = build_services(load_config(), engine=ScriptedEngine([Say("Tea.")], context=4096))
    yield built
    built.close()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Three pages, the second of which is a picture."""
    data = io.BytesIO()
    canvas = Canvas(data)
    for text in ("First page of tea.", "", "Third page of tea."):
        canvas.drawString(60, 700, text) if text else canvas.rect(60, 60, 300, 300, fill=1)
        canvas.showPage()
    canvas.save()
    path = tmp_path / "book.pdf"
    path.write_bytes(data.getvalue())
    return path


def notes(folder: Path, name: str = "notes.md", text: str = "# Tea\nGreen.\n# Water\nHot.\n") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_only_the_pages_asked_for_are_taken_and_the_file_stays_whole(book: Path) -> None:
    [read] = read_files([book], "3", Output("en"))
    assert [passage.text for passage in read.document.passages] == ["Third page of tea."]
    assert (read.document.total, read.data) == (3, book.read_bytes())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_without_text_are_named_to_a_person_and_not_to_a_script(
    book: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read_files([book], None, Output(language))
    said = capsys.readouterr().err
    assert "book.pdf" in said and "2" in said
    read_files([book], None, Output(language, as_json=True))
    assert capsys.readouterr().err == ""


def test_pages_are_numbers_of_one_document_that_has_them(book: Path, tmp_path: Path) -> None:
    with pytest.raises(BadParameter):
        read_files([book], "one", Output("en"))
    with pytest.raises(BadInput):
        read_files([book, notes(tmp_path)], "1", Output("en"))
    with pytest.raises(BadDocument) as caught:
        read_files([book], "2-4", Output("en"))
    assert caught.value.params["problem"] == "no_such_pages"


def test_every_passage_has_a_line_with_its_number_tokens_and_title(
    services: Services, tmp_path: Path
) -> None:
    files = read_files([notes(tmp_path)], None, Output("en"))
    counted = services.draft_files.count([file.document for file in files], start=True)
    head, *rows = passage_lines(services, counted.attachments)
    assert head == f"notes.md  {counted.attachments[0].tokens}"
    assert [(row.split()[0], row.split()[2]) for row in rows] == [("1", "Tea"), ("2", "Water")]
    assert all(int(row.split()[1]) > 0 for row in rows)


def test_a_file_is_kept_while_its_message_is_sent_and_no_longer(services: Services, tmp_path: Path) -> None:
    files = read_files([notes(tmp_path)], None, Output("en"))
    talk = services.conversations.new().id
    with attached(services, talk, files, "What is hot?") as attachments:
        assert [attachment.document.name for attachment in attachments] == ["notes.md"]
        assert [draft.document.name for draft in services.draft_files.waiting(talk)] == ["notes.md"]
    assert services.draft_files.waiting(talk) == []


def test_what_does_not_fit_is_refused_with_the_price_of_every_passage_and_nothing_is_kept(
    services: Services, tmp_path: Path
) -> None:
    path = notes(tmp_path, text="# Tea\n" + "green tea leaves " * 3000)
    files = read_files([path], None, Output("en"))
    talk = services.conversations.new().id
    with pytest.raises(DocumentsTooLong) as caught, attached(services, talk, files, "Why?"):
        pytest.fail("it was sent")
    lines = str(caught.value.params["passages"]).splitlines()
    assert lines[0].startswith("notes.md  ") and lines[1].split()[0] == "1"
    assert services.draft_files.waiting(talk) == []


def test_tokens_are_estimated_over_all_documents(tmp_path: Path) -> None:
    def read(name: str) -> list[FileRead]:
        return read_files([notes(tmp_path, name)], None, Output("en"))

    assert material_tokens([]) == 0
    assert material_tokens(read("a.md") + read("b.md")) == 2 * material_tokens(read("a.md")) > 0
