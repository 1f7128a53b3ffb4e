"""One line of the model list says what is on the disk now, and reads no more than it must."""

from pathlib import Path

import pytest
from gguf_files import Builder, metadata, tiny_gguf

from twokeys.models import catalogue
from twokeys.models.entries import catalogue_entry, own_entry, with_header
from twokeys.models.shelf import ModelShelf

SMALL = catalogue.find("qwen2.5-0.5b:q8_0")
SPLIT = catalogue.find("qwen2.5-7b:q5_k_m")


@pytest.fixture
def shelf(tmp_path: Path) -> ModelShelf:
    folder = tmp_path / "models"
    folder.mkdir()
    return ModelShelf(folder)


def test_a_model_that_is_not_here_has_the_size_and_checksum_of_its_download(shelf: ModelShelf) -> None:
    entry = catalogue_entry(shelf, SMALL)
    assert not entry.installed and entry.path is None and entry.source is None
    assert (entry.bytes, entry.sha256, entry.shape) == (SMALL.bytes, SMALL.sha256, SMALL.shape)
    assert (entry.partial_bytes, entry.broken) == (0, None)


def test_an_installed_model_has_the_source_and_the_checksum_of_its_note(shelf: ModelShelf) -> None:
    path = shelf.path_of(SMALL)
    path.write_bytes(tiny_gguf(50_000))
    assert catalogue_entry(shelf, SMALL).source == "local"
    assert catalogue_entry(shelf, SMALL).sha256 is None, "nobody has counted it"
    note = shelf.write_note(path, "huggingface", ["ab" * 32])
    entry = catalogue_entry(shelf, SMALL)
    assert entry.installed and entry.path == path
    assert (entry.source, entry.sha256) == ("huggingface", note.sha256)


def test_a_split_model_with_a_part_missing_is_unfinished_and_not_broken(shelf: ModelShelf) -> None:
    (shelf.folder / SPLIT.parts[0].file).write_bytes(Builder(metadata(split__count=2)).build())
    entry = catalogue_entry(shelf, SPLIT)
    assert not entry.installed and entry.broken is None
    assert entry.partial_bytes == (shelf.folder / SPLIT.parts[0].file).stat().st_size


def test_a_whole_file_that_is_no_model_says_why(shelf: ModelShelf) -> None:
    shelf.path_of(SMALL).write_bytes(b"<html>please log in</html>" * 20)
    entry = catalogue_entry(shelf, SMALL)
    assert not entry.installed and entry.path is None and entry.broken


def test_a_file_of_a_persons_own_is_described_by_its_header(shelf: ModelShelf) -> None:
    path = shelf.folder / "mine.gguf"
    path.write_bytes(Builder(metadata(general__size_label="9K")).build())
    entry = own_entry(shelf, path)
    assert (entry.name, entry.family, entry.parameters) == ("mine", "Tiny", "9K")
    assert entry.installed and entry.path == path and entry.source == "local"
    assert entry.metadata is None, "only `info` fills it"
    header = with_header(shelf, entry, path).metadata
    assert header is not None and header.architecture == "qwen2"


def test_a_file_of_a_persons_own_that_is_broken_stays_in_the_list(shelf: ModelShelf) -> None:
    path = shelf.folder / "mine.gguf"
    path.write_bytes(tiny_gguf(50_000)[:40])
    entry = own_entry(shelf, path)
    assert not entry.installed and entry.path == path and entry.bytes == 40 and entry.broken
    assert with_header(shelf, entry, path).broken == entry.broken
