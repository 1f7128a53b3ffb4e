"""The guard can be used in other programs: it loads no screen, no engine and no store."""

import runpy
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "guard_any_stream.py"
HEAVY = (
    "streamlit",
    "httpx",
    "xllamacpp",
    "sqlite3",
    "numpy",
    "altair",
    "twokeys.engines",
    "twokeys.store",
    "twokeys.ui",
)


def test_importing_the_guard_loads_nothing_heavy() -> None:
    code = f"import sys; import twokeys.core.guard; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_example_ends_a_stream_that_goes_in_circles() -> None:
    watched = runpy.run_path(str(EXAMPLE))["watched"]
    good = "The mill stands by the river and has stood there for two hundred years. "
    stream = [good, *["It is old. It is quiet. It is cold by the water. "] * 20]
    text = "".join(watched(stream, "Tell me about the mill."))
    assert text.startswith(good)
    assert len(text) < sum(map(len, stream)) / 2
