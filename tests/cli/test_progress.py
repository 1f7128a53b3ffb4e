"""A download on the command line: lines for scripts, a bar for people, and Ctrl-C, which keeps what came."""

import _thread
import json
import sys
import threading
import traceback
from collections.abc import Callable

import pytest

from twokeys.cli import progress
from twokeys.cli.output import Output
from twokeys.cli.progress import PullBar, Take, fetch_with_progress
from twokeys.errors import DiskFull
from twokeys.models.download import Cancelled, Control, DownloadProgress

HALF = DownloadProgress(500, 1000, 100.0, 5.0, "downloading", "huggingface")


def test_a_script_gets_a_line_for_each_report(capsys: pytest.CaptureFixture[str]) -> None:
    def pull(take: Take, control: Control) -> None:
        take(HALF)

    assert fetch_with_progress(pull, "tea", 1000, "paused", Output("en", as_json=True))
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "type": "progress",
        "name": "tea",
        **{name: getattr(HALF, name) for name in HALF.__dataclass_fields__},
    }


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_bar_says_how_much_how_fast_how_long_and_from_where(language: str) -> None:
    bar = PullBar(Output(language), "tea", 1000)
    with bar:
        bar.take(HALF)
        [task] = bar._bar.tasks
        figures = task.fields["figures"]
        assert (task.completed, task.total) == (500, 1000)
        assert "100 B/s" in figures and "5" in figures and "Hugging Face" in figures
        bar.take(DownloadProgress(1000, 1000, stage="checking"))
        assert "B/s" not in task.fields["figures"]


def test_an_error_of_the_download_is_the_commands() -> None:
    def pull(take: Take, control: Control) -> None:
        raise DiskFull(needed=2, free=1)

    with pytest.raises(DiskFull):
        fetch_with_progress(pull, "tea", 1000, "paused", Output("en", as_json=True))


def wait_until_awaited() -> None:
    """Return once the main thread waits for the download."""
    main = threading.main_thread().ident
    assert main is not None
    while "result" not in {
        frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames()[main])
    }:
        threading.Event().wait(0.005)


def interrupted(*, whole: bool) -> Callable[[Take, Control], object]:
    """A download during which a person presses Ctrl-C; whole: it had just come to its end."""

    def pull(take: Take, control: Control) -> None:
        wait_until_awaited()
        _thread.interrupt_main()
        waiting = threading.Event()
        while not control.cancelled:
            waiting.wait(0.01)
        if not whole:
            raise Cancelled

    return pull


def test_ctrl_c_pauses_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "POLL_S", 0.01)
    assert not fetch_with_progress(interrupted(whole=False), "tea", 1000, "It is kept.", Output("en"))
    assert "It is kept." in capsys.readouterr().err
    assert not fetch_with_progress(interrupted(whole=False), "tea", 1000, "kept", Output("en", as_json=True))
    assert json.loads(capsys.readouterr().out)["error"] == {"code": "paused", "message": "kept", "hint": ""}


def test_ctrl_c_in_the_last_moment_does_not_undo_a_download_that_is_whole() -> None:
    assert fetch_with_progress(interrupted(whole=True), "tea", 1000, "paused", Output("en", as_json=True))
