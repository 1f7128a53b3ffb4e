"""`--ray local`: a Ray of the command's own on this machine, with a real model, ended with the command."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

STUDY = """
name = "local"
seeds = 1
n_probs = 0
outcomes = ["tokens"]
[base]
max_new_tokens = 6
[grid]
temperature = [0.3, 1.0]
"""


@pytest.mark.slow
def test_a_study_runs_on_workers_of_this_machine_and_leaves_none_behind(
    smollm2: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "local.toml"
    prompts = (f'[[prompt]]\nid = "{name}"\ntext = "Say {name}."\n' for name in ("a", "b", "c"))
    file.write_text(STUDY + "".join(prompts), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "twokeys", "study", "run", str(file), "--model", str(smollm2), "--json"),
        *("--ray", "local", "--workers", "2"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["complete"] and report["answers"] == 6
    shares = report["engines"]["engines"] if report.get("engines") else []
    assert all(share["name"].startswith("worker ") for share in shares)
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in commands if str(home) in line], "no worker and no Ray are left behind"
