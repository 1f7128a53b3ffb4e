"""Tests of Ctrl-C mean the same in a terminal, in the background and under a supervisor."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
HANDLER = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"


def test_a_program_that_a_test_starts_hears_ctrl_c() -> None:
    ran = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_does_so_too_when_the_tests_themselves_were_started_in_the_background() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"{__file__}::{test_a_program_that_a_test_starts_hears_ctrl_c.__name__}",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert ran.returncode == 0, ran.stdout
