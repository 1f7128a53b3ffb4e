"""Keys and slots of servers: by host and port, in a file of its own, never in what is shown."""

import stat
from pathlib import Path

import pytest

from twokeys.config import load_config
from twokeys.engine_source import server_book
from twokeys.engines.server_access import NO_ACCESS, ServerAccess, ServerBook
from twokeys.errors import BadParameter

URL = "https://models.example:8000/v1#qwen"


def test_a_key_belongs_to_scheme_host_and_port(tmp_path: Path) -> None:
    book = ServerBook(tmp_path / "servers.json")
    book.keep(URL, ServerAccess("secret", 3))
    assert book.of("https://Models.example:8000/other") == ServerAccess("secret", 3)
    for other in ("http://models.example:8000", "https://models.example", "https://evil.example:8000"):
        assert book.of(other) == NO_ACCESS
    assert stat.S_IMODE((tmp_path / "servers.json").stat().st_mode) == 0o600
    book.keep(URL, NO_ACCESS)
    assert book.of(URL) == NO_ACCESS
    assert "secret" not in (tmp_path / "servers.json").read_text()


def test_the_environment_s_key_goes_to_the_server_it_was_given_for_alone(tmp_path: Path) -> None:
    environment = {
        "TWOKEYS_HOME": str(tmp_path),
        "TWOKEYS_SERVER_KEY": "env-key",
        "TWOKEYS_SERVER_SLOTS": "5",
    }
    config = load_config(environment, model="http://a:1,http://b:2/v1")
    assert "env-key" not in repr(config)
    book = server_book(config)
    assert book.of("http://a:1") == book.of("http://b:2") == ServerAccess("env-key", 5)
    assert book.of("http://c:3") == NO_ACCESS
    book.keep("http://a:1", ServerAccess("own"))
    assert book.of("http://a:1") == ServerAccess("own", 5), "what a person set comes first"
    assert server_book(load_config(environment)).of("http://a:1").key == "own"
    assert server_book(load_config(environment)).of("http://b:2") == NO_ACCESS


@pytest.mark.parametrize("text", ["0", "65", "many", "-1"])
def test_slots_that_are_no_number_of_answers_are_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        load_config({"TWOKEYS_SERVER_SLOTS": text})


def test_a_broken_file_is_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    for text in ("{", "[]", '{"http://a": 3}', '{"http://a": {"key": 3}}'):
        path.write_text(text)
        assert ServerBook(path).of("http://a") == NO_ACCESS


def test_a_key_with_signs_no_header_can_carry_is_refused() -> None:
    for key in ("密钥", "a\nb", "   "):
        with pytest.raises(BadParameter) as caught:
            ServerAccess(key)
        assert key not in str(caught.value.params.values())
