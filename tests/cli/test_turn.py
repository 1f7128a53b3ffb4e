"""One answer on the terminal: its text alone on stdout, the rest on stderr, or JSON lines."""

import json
from collections.abc import Iterator

import pytest

from twokeys.cli.output import Output
from twokeys.cli.turn import ShownAnswer, TurnRunner, done_object, footer, noticed_lines
from twokeys.config import load_config
from twokeys.engines.scripted import Fail, Say, ScriptedEngine
from twokeys.errors import EngineDied
from twokeys.services import Services, build_services
from twokeys.types import GuardEvent, Message, Provenance, Sampling, Settings, Timings

LOOP = "It is what it is, my friend. "


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine([Say("Tea came by sea.")])


@pytest.fixture
def services(engine: ScriptedEngine) -> Iterator[Services]:
    built = build_services(load_config(), engine=engine)
    yield built
    built.close()


def shown(services: Services, out: Output, length: int = 900) -> tuple[TurnRunner, ShownAnswer]:
    """Ask one question and show its answer as a pipe gets it."""
    topic = services.conversations.new(Settings(sampling=Sampling(max_new_tokens=length))).id
    turns = TurnRunner(services, out, drawn=False)
    with turns.follow(topic) as follower:
        return turns, turns.show(services.answers.send(topic, "Whence?"), follower)


def test_a_pipe_gets_the_text_and_a_line_end_and_nothing_else(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    turns, turn = shown(services, Output("en"))
    turns.say_footer(turn, how_to_continue="/continue")
    out, err = capsys.readouterr()
    assert out == "Tea came by sea.\n" and not turn.cut
    assert "8 tokens" in err and "/continue" not in err


def test_an_answer_that_was_cut_says_why_and_how_to_go_on(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    turns, turn = shown(services, Output("en"), length=3)
    turns.say_footer(turn, how_to_continue="/continue")
    out, err = capsys.readouterr()
    assert turn.cut and out == "Tea came\n"
    assert "/continue" in err and "3" in err


def test_what_the_guard_took_off_is_said_as_it_was_shown_before(
    services: Services, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.script = [Say(LOOP * 60, delay_s=0.002)]  # shown while it is written
    turns, turn = shown(services, Output("en"))
    turns.say_footer(turn, how_to_continue="/continue")
    out, err = capsys.readouterr()
    removed = turn.shown_chars - len(turn.message.content)
    assert removed > 0 and out.rstrip("\n").startswith(turn.message.content)
    assert str(removed) in err
    reported = [line for line in err.splitlines() if line.startswith("Guard:")]
    assert "seems to go in circles" in reported[0] and "was looping, so it was stopped" in reported[-1]


def test_an_answer_that_failed_is_no_cut_one(services: Services, engine: ScriptedEngine) -> None:
    engine.script = [Say("Tea"), Fail(EngineDied(reason="SIGKILL", log=""))]
    _, turn = shown(services, Output("en"))
    assert (turn.message.content, turn.message.finish_reason, turn.cut) == ("Tea", "error", False)


def test_json_has_the_text_in_deltas_and_the_guard_between_them(
    services: Services, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.script = [Say(LOOP * 60)]
    _, turn = shown(services, Output("en", as_json=True))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["type"] for line in lines} == {"delta", "guard"}
    text = "".join(line["text"] for line in lines if line["type"] == "delta")
    assert len(text) == turn.shown_chars and text.startswith(turn.message.content)
    events = [line for line in lines if line["type"] == "guard"]
    assert {"kind", "level", "at_token", "at_char", "data", "title", "detail"} <= events[0].keys()


def answer(**facts: object) -> Message:
    return Message(
        "m1",
        "c1",
        None,
        "assistant",
        "Tea.",
        0.0,
        token_ids=(1, 2),
        finish_reason="stop",
        provenance=Provenance(**facts),  # type: ignore[arg-type]
    )


def test_the_figures_are_those_that_are_known() -> None:
    out = Output("en")
    bare = list(footer(answer(), out, "/continue"))
    timed = Timings(ttft_s=0.25, total_s=1.5, tok_per_s=8.04)
    full = list(footer(answer(completion_tokens=2, timings=timed), out, "/continue"))
    assert [style for _, style in full] == ["dim"]
    assert full[0][0].split(" · ")[:3] == ["2 tokens", "1.5 s", "8.0 tok/s"] and "0.25" in full[0][0]
    assert "tokens" not in bare[0][0] and "tok/s" not in bare[0][0]


def test_the_last_json_line_counts_tokens_where_the_engine_did_not() -> None:
    done = done_object(answer(prompt_tokens=9, seed=7))
    assert done["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": None}
    assert (done["text"], done["finish_reason"], done["seed"]) == ("Tea.", "stop", 7)
    assert json.loads(json.dumps(done)) == done


def test_of_each_kind_the_loudest_is_said_and_a_stall_that_is_over_is_not() -> None:
    def event(kind: str, level: str) -> GuardEvent:
        return GuardEvent(kind, level, 1, 1, {"state": "slow"} if kind == "stall" else {})  # type: ignore[arg-type]

    noticed = (event("loop", "note"), event("loop", "stop"), event("loop", "warn"), event("stall", "warn"))
    out = Output("en")
    (line,) = noticed_lines(answer(guard=noticed), out)
    (alone,) = noticed_lines(answer(guard=noticed[1:2]), out)
    assert line == alone
