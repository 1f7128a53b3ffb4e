"""`twokeys serve` and `twokeys keys`: the API without screens, its keys from the command line."""

import json
import signal
import sys
from pathlib import Path

import httpx
import pytest
from commanding import Cli


def test_keys_are_made_listed_and_revoked(cli: Cli) -> None:
    made = cli.run("keys", "add", "editor", "--json").json
    assert made["name"] == "editor" and made["key"].startswith("tk-")
    rows = cli.run("keys", "list", "--json").json
    assert [row["name"] for row in rows] == ["editor"]
    assert made["key"] not in json.dumps(rows)
    assert "editor" in cli.run("keys", "list").out
    assert cli.run("keys", "add", "editor", "--json").json["error"]["code"] == "bad_input"
    cli.run("keys", "rm", "editor")
    assert cli.run("keys", "list", "--json").json == []
    assert cli.run("keys", "rm", "editor", "--json").json["error"]["code"] == "not_found"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_api_answers_alone_and_ctrl_c_ends_it(cli: Cli, smollm2: Path) -> None:
    key = cli.run("keys", "add", "tests", "--json").json["key"]
    process = cli.start("serve", "--port", "0", "--json", "--model", smollm2)
    assert process.stdout is not None
    loaded = json.loads(process.stdout.readline())
    assert loaded["base_url"] == f"{loaded['url']}/v1"
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "twokeys", "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 4}
    url = f"{loaded['base_url']}/chat/completions"
    answer = httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False).json()
    assert answer["usage"]["completion_tokens"] == 4
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_serving_the_api_loads_no_screen() -> None:
    import subprocess

    code = "import sys; import twokeys.api.server, twokeys.services; print('streamlit' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
