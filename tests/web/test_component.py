"""The Python side of the transcript component: its texts, its files, what it accepts back."""

import re
from pathlib import Path

import pytest
from streamlit.components.v2.component_manager import BidiComponentManager

from twokeys.i18n import LANGUAGES, catalogue
from twokeys.types import Message, Provenance, Timings
from twokeys.web.component import (
    NAME,
    Action,
    component_texts,
    declare,
    message_view,
    parse_action,
    unpack,
)

FRONTEND = Path(__file__).parent.parent.parent / "frontend" / "src"


def asked_texts(*files: Path) -> set[str]:
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(r'(?:text|words)\(\s*"([\w.]+)"', source))


def test_every_text_the_browser_asks_for_exists_in_both_languages() -> None:
    own = ("palette", "dictation")
    others = {"heatmap.ts", "thermometer.ts", *(f"{area}.ts" for area in own)}  # the lens's: test_lens.py
    asked = asked_texts(*(path for path in FRONTEND.glob("*.ts") if path.name not in others))
    assert len(asked) > 25
    for language in LANGUAGES:
        for area in own:
            assert asked_texts(FRONTEND / f"{area}.ts") <= component_texts(language, area).keys()
        texts = component_texts(language)
        assert asked <= texts.keys()
        assert all(texts.values())


def test_every_finish_reason_guard_kind_and_button_has_its_words() -> None:
    texts = component_texts("zh")
    reasons = ("stop", "stop_string", "length", "context", "guard", "cancelled", "interrupted", "error")
    for name in (
        *(f"finish.{reason}" for reason in reasons),
        *(f"phase.{phase}" for phase in ("queued", "starting", "loading", "prompt", "generating")),
        *(f"guard.{kind}.warn.title" for kind in ("loop", "decay", "drift")),
        "guard.uncertainty.note.title",
        *(f"guard.stall.{state}.title" for state in ("begun", "slow", "engine_hung", "over")),
        *(
            f"action.{name}"
            for name in (
                "copy",
                "speak",
                "edit",
                "delete",
                "regenerate",
                "continue",
                "branch",
                "compare",
                "details",
            )
        ),
    ):
        assert texts[name]


def test_both_languages_use_the_same_braces() -> None:
    for key, entry in catalogue().items():
        if key.startswith(("transcript.", "access.")):
            result = [set(re.findall(r"\{(\w+)\}", entry[language])) for language in LANGUAGES]
            assert result[0] == result[1], key


def test_a_plain_checkout_that_streamlit_did_not_discover_still_has_the_component() -> None:
    manager = BidiComponentManager()
    assert manager.get_component_asset_root(NAME) is None
    declare(manager)
    root = manager.get_component_asset_root(NAME)
    assert root is not None
    assert (root / "transcript.js").is_file()


def test_an_installed_package_is_discovered_by_streamlit_itself() -> None:
    manager = BidiComponentManager()
    manager.discover_and_register_components(start_file_watching=False)
    root = manager.get_component_asset_root(NAME)
    assert root is not None
    assert (root / "transcript.js").is_file()


def test_the_bundle_names_its_libraries_and_their_licences() -> None:
    manager = BidiComponentManager()
    declare(manager)
    root = manager.get_component_asset_root(NAME)
    assert root is not None
    notices = (root / "THIRD_PARTY_NOTICES.txt").read_text(encoding="utf-8")
    for library in ("katex", "markdown-it", "highlight.js", "linkify-it", "entities", "mermaid"):
        assert re.search(rf"^{re.escape(library)} \d", notices, re.MULTILINE)
    fonts = list((root / "fonts").glob("*.woff2"))
    assert len(fonts) == 20


@pytest.mark.parametrize("junk", [None, 5, "stop", [], {}, {"type": 1}, {"message": "m"}])
def test_what_is_not_an_action_is_ignored(junk: object) -> None:
    assert parse_action(junk) is None


def test_fields_of_the_wrong_kind_are_dropped() -> None:
    action = parse_action({"type": "edit", "message": 7, "text": None, "step": True, "version": "2"})
    assert action == Action("edit", data=action.data if action else {})


def _sent(*numbers: int, mount: str = "a") -> dict[str, object]:
    waiting = [{"number": number, "action": {"type": f"act{number}"}} for number in numbers]
    return {"mount": mount, "waiting": waiting}


def test_every_action_is_taken_once_and_in_order() -> None:
    acted, actions = unpack(_sent(1, 2), None)
    assert [action.type for action in actions] == ["act1", "act2"]
    acted, actions = unpack(_sent(1, 2, 3), acted)
    assert [action.type for action in actions] == ["act3"]
    assert unpack(_sent(1, 2, 3), acted)[1] == []


def test_a_component_drawn_anew_counts_from_the_start() -> None:
    acted, _ = unpack(_sent(1, 2, 3), None)
    acted, actions = unpack(_sent(1, mount="b"), acted)
    assert [action.type for action in actions] == ["act1"]
    assert acted == {"mount": "b", "number": 1}


@pytest.mark.parametrize(
    "junk", [None, 5, "stop", [], {}, {"waiting": 1}, {"waiting": [1, {"number": "1"}, {}]}]
)
def test_a_malformed_packet_brings_no_action(junk: object) -> None:
    assert unpack(junk, None)[1] == []


def test_a_stored_answer_becomes_what_the_browser_draws() -> None:
    message = Message(
        id="m",
        conversation_id="c",
        parent_id=None,
        role="assistant",
        content="text",
        created_at=0.0,
        finish_reason="length",
        provenance=Provenance(
            sampling_set={"max_new_tokens": 512},
            context=8192,
            prompt_tokens=9,
            completion_tokens=512,
            timings=Timings(ttft_s=0.1),
        ),
    )
    view = message_view(message)
    assert view["max_new_tokens"] == 512
    assert view["context"] == 8192
    assert view["usage"] == {"prompt_tokens": 9, "completion_tokens": 512, "cached_tokens": None}
    assert view["timings"]["ttft_s"] == 0.1 and view["timings"]["total_s"] is None
