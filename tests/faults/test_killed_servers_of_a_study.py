"""Real servers and the command itself killed in the middle of a study on several of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.real_server import listener, running_server

from twokeys.config import load_config
from twokeys.services import build_services

STUDY = """
name = "spread"
seeds = 2
n_probs = 0
outcomes = ["tokens", "distinct_2"]
[base]
max_new_tokens = 12
[grid]
temperature = [0.3, 1.0]
"""
PROMPT = '[[prompt]]\nid = "{name}"\ntext = "Write one sentence about {name}."\n'
TOPICS = ("tea", "rain", "bread", "snow", "trains", "clocks")


def command(file: Path, *urls: str) -> list[str]:
    engines = [part for url in urls for part in ("--engine", url)]
    return [sys.executable, "-m", "twokeys", "study", "run", str(file), *engines, "--json"]


@pytest.mark.slow
def test_a_killed_server_and_a_killed_command_lose_no_more_than_the_blocks_in_flight(
    llama_server: str, smollm2: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spread.toml"
    file.write_text(STUDY + "".join(PROMPT.format(name=name) for name in TOPICS), encoding="utf-8")
    flags = ("-c", "512", "-np", "1")
    with (
        running_server(llama_server, smollm2, *flags) as first,
        running_server(llama_server, smollm2, *flags) as second,
    ):
        driver = subprocess.Popen(command(file, first, second), stdout=subprocess.DEVNULL)
        services = build_services(load_config())
        try:
            deadline = time.monotonic() + 120
            while not (listed := services.lab.list()) or listed[0].done < 6:
                assert time.monotonic() < deadline and driver.poll() is None
                time.sleep(0.05)
            driver.send_signal(signal.SIGKILL)
            driver.wait(10)
            rows = services.repository.documents.row_values(listed[0].id, "t/")
            stored = {(row["c"], row["p"], row["s"]): row["text"] for row in rows if row["m"] == second}
        finally:
            services.close()
        os.kill(listener(first), signal.SIGKILL)
        ended = subprocess.run(command(file, first, second), capture_output=True, text=True, timeout=200)
        assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["complete"] and report["answers"] == 24 and report["id"] == listed[0].id
    assert all(cell["failed"] == 0 for cell in report["cells"])
    shares = {share["name"]: share for share in report["engines"]["engines"]}
    assert set(shares) <= {first, second} and shares[second]["answers"] >= 12
    assert sum(share["answers"] for share in shares.values()) == 24
    assert shares[second]["facts"]["build"] and shares[second]["facts"]["model"] == "smollm2"
    services = build_services(load_config())
    try:
        rows = services.repository.documents.row_values(report["id"], "t/")
    finally:
        services.close()
    after = {(row["c"], row["p"], row["s"]): row["text"] for row in rows}
    assert stored and stored.items() <= after.items(), "what the living server had written stays"
    homes = {row["p"]: {other["m"] for other in rows if other["p"] == row["p"]} for row in rows}
    assert all(len(names) == 1 for names in homes.values())
