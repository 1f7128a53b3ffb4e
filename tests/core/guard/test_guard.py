"""The guard as a whole: any stream, any chunking, bounded memory, calm on normal text, honest report."""

import json
import random
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokeys.core.guard import Guard, describe
from twokeys.i18n import catalogue
from twokeys.types import GuardEvent

from .reading import benchmark, of_kind, watch, watch_pieces
from .test_loop import EN, UNIT_EN, UNIT_ZH, WORDS, ZH

MIXED = (
    EN
    + ZH
    + UNIT_ZH * 6
    + "\n```python\n"
    + "x = 1\n" * 40
    + "```\n| a | b |\n" * 3
    + UNIT_EN * 9
    + "важный вопрос. " * 4
)


def facts_of(events: list[GuardEvent]) -> list[tuple[str, str, int, str]]:
    return [(e.kind, e.level, e.at_char, json.dumps(dict(e.data), sort_keys=True)) for e in events]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=60))
def test_chunking_does_not_change_what_is_said(sizes: list[int]) -> None:
    pieces, at = [], 0
    while at < len(MIXED):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(MIXED[at : at + size])
        at += size
    assert facts_of(watch_pieces(pieces, "请说明")) == facts_of(watch(MIXED, "请说明", step=1))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=30), st.text(max_size=60))
def test_no_unicode_stream_raises(pieces: list[str], question: str) -> None:
    events = watch_pieces(pieces * 4, question)
    for event in events:
        json.dumps(dict(event.data))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=30), st.integers(2, 60))
def test_any_unit_repeated_gives_a_cut_inside_the_text(unit: str, copies: int) -> None:
    guard = Guard({}, "")
    text = unit * copies
    watch(text, guard=guard)
    if guard.cut is not None:
        assert 0 <= guard.cut.at_char <= len(text)


def test_lone_surrogates_and_controls_do_not_raise() -> None:
    watch("\ud800\udfff\x00\u202e\ufeff" * 300 + "ok. " * 50, "\ud800")


@pytest.mark.parametrize("kind", ["en", "zh", "code", "loop"])
def test_memory_stays_bounded_on_a_long_answer(kind: str) -> None:
    cost = benchmark("guard_cost")
    tokens = cost.made_stream(kind, 24_000)
    guard = Guard({}, "Explain")
    sizes = []
    for start in (0, 8_000, 16_000):
        for token in tokens[start : start + 8_000]:
            guard.on_token(token, start, 0)
        sizes.append(cost.deep_size(guard))
    assert sizes[2] < 4_000_000
    assert sizes[2] < 1.3 * sizes[1]


def normal_texts() -> list[tuple[str, str]]:
    """Complete files of 300 … 8000 characters: the standard library, and readmes of installed packages."""
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    packages = sorted(Path(sysconfig.get_path("stdlib")).glob("email/*.py"))
    readmes = sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/METADATA"))
    texts = []
    for path in [*library, *packages, *readmes]:
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.name == "METADATA":
            text = text.partition("\n\n")[2]  # the head is fields, not text
        if 300 <= len(text) <= 8000:
            texts.append((str(path), text))
    return texts


def test_normal_files_raise_hardly_an_alarm() -> None:
    texts = normal_texts()
    assert len(texts) >= 80
    alarms = {}
    for name, text in texts:
        loud = [e for e in watch(text, "Show me an example.") if e.level in ("warn", "stop")]
        if loud:
            alarms[name] = [(e.kind, e.level, dict(e.data)) for e in loud]
    assert not [row for row in alarms.items() if any(level == "stop" for _, level, _ in row[1])]
    assert len(alarms) <= max(1, len(texts) // 50), alarms


def test_settings_lower_what_is_said() -> None:
    text = ZH + UNIT_ZH * 8
    assert of_kind(watch(text, guard=Guard({"loop": "off"}, "写")), "loop") == []
    assert {e.level for e in of_kind(watch(text, guard=Guard({"loop": "note"}, "写")), "loop")} == {"note"}
    warned = Guard({"loop": "warn"}, "写")
    assert {e.level for e in of_kind(watch(text, guard=warned), "loop")} == {"warn"}
    assert warned.cut is None


def test_answer_that_has_ended_is_warned_of_and_not_called_stopped() -> None:
    text = EN + " ".join(f"She wrote a letter to her brother {word} today." for word in WORDS[:8])
    guard = Guard({}, "Write")
    early = guard.on_token(text, 90, len(text))
    late = guard.finish()
    assert "stop" not in {event.level for event in early}
    assert [event.level for event in of_kind(late, "loop")] == ["warn"]
    assert guard.cut is None


def test_report_is_json_and_complete() -> None:
    guard = Guard({}, "写一篇文章")
    watch(ZH + UNIT_ZH * 8, guard=guard)
    report = json.loads(json.dumps(guard.report(), ensure_ascii=False))
    assert [event["level"] for event in report["events"] if event["kind"] == "loop"] == ["warn", "stop"]
    assert report["cut"]["at_char"] == len(ZH + UNIT_ZH)
    assert set(report) == {"settings", "events", "event_count", "cut", "decay", "uncertainty", "stall"}


def test_continued_answer_is_read_from_its_beginning() -> None:
    prefix = ZH + UNIT_ZH * 2
    guard = Guard({}, "写一篇文章", prefix=prefix)
    events: list[GuardEvent] = []
    for number, piece in enumerate([UNIT_ZH] * 5, start=1):
        events += guard.on_token(piece, number, len(prefix) + number * len(UNIT_ZH))
    loops = of_kind(events, "loop")
    assert loops[0].at_char <= len(ZH) + 4 * len(UNIT_ZH)
    assert guard.cut is not None
    assert guard.cut.at_char == len(ZH + UNIT_ZH)


def test_continued_answer_without_its_beginning_counts_from_where_it_stands() -> None:
    guard = Guard({}, "写一篇文章")
    events: list[GuardEvent] = []
    for number in range(1, 9):
        events += guard.on_token(UNIT_ZH, number, 1000 + number * len(UNIT_ZH))
    assert guard.cut is not None
    assert guard.cut.at_char == 1000 + len(UNIT_ZH)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_event_has_words_in_both_languages(language: str) -> None:
    rng = random.Random(1)
    data = {
        "sample": "x",
        "copies": 3.0,
        "rep": 0.5,
        "new": 0.1,
        "script": "thai",
        "tokens": 5,
        "mean_nats": 2.0,
    }
    stall = {"gap_s": 3.0, "usual_gap_s": 0.1}
    for kind in ("loop", "decay", "drift", "uncertainty", "stall"):
        for level in ("note", "warn", "stop"):
            for state in ("begun", "slow", "engine_hung", "over"):
                event = GuardEvent(kind, level, 1, rng.randrange(9), data | stall | {"state": state})
                words = describe(event, language)
                assert all(
                    words_part and "{" not in words_part
                    for words_part in (words.title, words.detail, words.next_step)
                )


def test_texts_have_both_languages() -> None:
    texts = {key: value for key, value in catalogue().items() if key.startswith("guard.")}
    assert all(set(value) == {"zh", "en"} for value in texts.values())
