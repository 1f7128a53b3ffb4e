"""What every start loads: only what the first page or the shortest command needs."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "numpy",
    "scipy",
    "pandas",
    "altair",
    "optuna",
    "streamlit",
    "docx",
    "click",
    "rich",
    "pydantic",
    "httpx",
    "filelock",
    "tomli_w",
)
LATE = (
    "twokeys.core.advice.advisor",
    "twokeys.core.compare.service",
    "twokeys.core.study.lab",
    "twokeys.core.writer.writer",
    "twokeys.store.exchange",
)


def test_the_services_load_nothing_that_only_the_lab_the_votes_or_a_terminal_need() -> None:
    late = HEAVY + LATE
    code = f"import sys; import twokeys.services; print([name for name in {late} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_first_page_loads_no_library_of_tables_charts_pictures_or_documents(tmp_path: Path) -> None:
    heavy = ("httpx", "numpy", "pandas", "pyarrow", "PIL", "altair", "docx", "markdown_it", "pydantic.main")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from twokeys.api.server import make_api\n"
        "from twokeys.config import load_config\n"
        "from twokeys.engines.scripted import ScriptedEngine\n"
        "from twokeys.services import build_services\n"
        "from twokeys.ui.screens import site\n"
        "from twokeys.web.runtime import set_services\n"
        "services = build_services(load_config(), engine=ScriptedEngine(()))\n"
        "make_api(services).routes()\n"
        "set_services(services)\n"
        "site().warm_up(services)\n"
        "warm = set(sys.modules)\n"
        "page = AppTest.from_file(site().script, default_timeout=60).run()\n"
        "assert page.chat_input(key='chat_send') and not page.exception\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
        "print(sorted(name for name in set(sys.modules) - warm if name.startswith('twokeys')))\n"
        "services.close()\n"
    )
    env = {**os.environ, "TWOKEYS_HOME": str(tmp_path / "home")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert run.stdout.splitlines() == ["[]", "[]"], (
        "heavy ones; and what was not made ready beside the browser"
    )


def test_the_web_client_works_without_its_command_line() -> None:
    code = (
        "import sys; from twokeys.http import httpx; "
        "print(httpx.URL('http://127.0.0.1/a').path, httpx.Client().timeout.read, 'click' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["/a", "5.0", "False"]
