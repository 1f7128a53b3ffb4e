"""What Streamlit does not promise: a name that is gone is told, with the version, before a page is served."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import streamlit

from twokeys.errors import StreamlitChanged
from twokeys.web import streamlit_seams
from twokeys.web.streamlit_seams import SEAMS, Seam

SOURCE = Path(__file__).resolve().parents[2] / "src" / "twokeys"
PROMISED = {"streamlit", "streamlit.errors"}


def names(seams: tuple[Seam, ...]) -> list[str]:
    return [seam.name for seam in seams]


def take_away(monkeypatch: pytest.MonkeyPatch, module: str, attribute: str) -> None:
    """Remove an attribute, or what it belongs to where it is an object's own."""
    owner: Any = importlib.import_module(module)
    first, *_ = attribute.split(".")
    last = attribute.rpartition(".")[2]
    holder = owner
    for name in attribute.split(".")[:-1]:
        holder = getattr(holder, name)
    if last in getattr(holder, "__dict__", {}):
        monkeypatch.delattr(holder, last)
    else:
        monkeypatch.delattr(owner, first)


def test_this_streamlit_is_what_we_rely_on() -> None:
    streamlit_seams.check()


@pytest.mark.parametrize("seam", SEAMS, ids=names(SEAMS))
def test_a_name_that_is_gone_is_told_with_the_version(seam: Seam, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, seam.module, seam.attribute)
    with pytest.raises(StreamlitChanged) as error:
        streamlit_seams.check()
    assert streamlit.__version__ in str(error.value)
    assert seam.attribute.split(".")[-1] in str(error.value) or seam.attribute.split(".")[0] in str(
        error.value
    )


USED = tuple(seam for seam in SEAMS if seam.used_by)


@pytest.mark.parametrize("seam", USED, ids=names(USED))
def test_an_override_that_nothing_calls_any_more_is_told(seam: Seam, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*args: object) -> None: ...

    monkeypatch.setattr(f"{seam.module}.{seam.used_by}", other)
    with pytest.raises(StreamlitChanged, match=seam.attribute.rpartition(".")[2]):
        streamlit_seams.check()


CALLED = tuple(seam for seam in SEAMS if seam.takes or seam.leaves)


@pytest.mark.parametrize("seam", CALLED, ids=names(CALLED))
def test_a_function_that_takes_or_sets_other_things_is_told(
    seam: Seam, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: object, renamed: object) -> None: ...

    holder: Any = importlib.import_module(seam.module)
    for name in seam.attribute.split(".")[:-1]:
        holder = getattr(holder, name)
    monkeypatch.setattr(holder, seam.attribute.rpartition(".")[2], other)
    with pytest.raises(StreamlitChanged):
        streamlit_seams.check()


def test_a_page_without_a_head_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<html><body></body></html>", encoding="utf-8")
    monkeypatch.setattr(streamlit, "__file__", str(tmp_path / "__init__.py"))
    streamlit_seams.page.cache_clear()
    try:
        with pytest.raises(StreamlitChanged, match=r"index\.html"):
            streamlit_seams.page()
    finally:
        streamlit_seams.page.cache_clear()


def test_nothing_else_imports_more_of_streamlit_than_it_promises() -> None:
    strangers = [
        f"{path.relative_to(SOURCE)}: {name}"
        for path in SOURCE.rglob("*.py")
        if path.name != "streamlit_seams.py"
        for name in imported(path)
        if name.partition(".")[0] == "streamlit" and name not in PROMISED
    ]
    assert strangers == []


def imported(path: Path) -> list[str]:
    result: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            result += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            result.append(node.module or "")
    return result
