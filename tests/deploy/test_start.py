"""The app as its container starts it, command, environment and health check, with a real llama-server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.real_server import running_server

from twokeys.engines.worker import free_port

from .container import PASSWORD, command, compose, filled

pytestmark = pytest.mark.slow
KEY = "the key of the engine"


@contextmanager
def container(home: Path, engine: str, port: int) -> Iterator[dict[str, str]]:
    """Run what the container would, at another port, with another data folder; yield its environment."""
    values = {
        "TWOKEYS_PASSWORD": PASSWORD,
        "ENGINE_KEY": KEY,
        "ANSWERS_AT_ONCE": "2",
        "TEAM_HOST": "team.example",
    }
    service = compose()["services"]["twokeys"]
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        **{name: filled(value, values) for name, value in service["environment"].items()},
        "TWOKEYS_HOME": str(home),
    }
    assert environment["TWOKEYS_MODEL"] == "http://engine:8000"
    environment["TWOKEYS_MODEL"] = engine
    program, *arguments = command()
    arguments[arguments.index("--port") + 1] = str(port)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", program, *arguments], env=environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield environment
    finally:
        process.terminate()
        process.wait(20)


def wait_until_healthy(port: int, log: Path) -> None:
    """Ask as compose does until the answer is yes."""
    test = compose()["services"]["twokeys"]["healthcheck"]["test"]
    check = [sys.executable, *(part.replace(":8765", f":{port}") for part in test[2:])]
    deadline = time.monotonic() + 90
    while subprocess.run(check, capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.3)


def test_the_container_s_command_serves_a_team_with_a_password_and_answers_from_its_engine(
    llama_server: str, smollm2: Path, home: Path
) -> None:
    port = free_port()
    with (
        running_server(llama_server, smollm2, "-c", "1024", "-np", "2", "--no-kv-unified", key=KEY) as engine,
        container(home, engine, port) as environment,
    ):
        wait_until_healthy(port, home / "log")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=90) as client:
            closed = client.get("/", headers={"Accept": "text/html"})
            login = client.get(closed.headers["location"]).text
            assert closed.status_code == 303 and 'type="password"' in login
            assert client.get("/", headers={"Host": "elsewhere.example"}).status_code in (400, 403, 421)
            named = client.get("/", headers={"Host": "team.example", "Accept": "text/html"})
            assert named.status_code == 303, "the team's name is allowed"
            made = subprocess.run(
                [sys.executable, "-m", "twokeys", "keys", "add", "a colleague", "--json"],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
            body = {
                "model": client.get("/v1/models", headers=headers).json()["data"][0]["id"],
                "messages": [{"role": "user", "content": "Say hello."}],
                "max_tokens": 8,
            }
            answer = client.post("/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200 and body["model"] == "smollm2", answer.text
            assert answer.json()["choices"][0]["message"]["content"].strip()
            assert answer.json()["usage"]["completion_tokens"] >= 1
