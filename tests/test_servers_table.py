"""The table of docs/servers.md is the one that the run of the contract tests gives."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_servers_table", CHECKOUT / "scripts" / "write_servers_table.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_the_recorded_run(script: ModuleType) -> None:
    table = script.render(json.loads(script.PROOF.read_text(encoding="utf-8")))
    written = script.PAGE.read_text(encoding="utf-8").split(script.BEGIN)[1].split(script.END)[0]
    assert written == f"\n{table}", "run: python scripts/write_servers_table.py"


def test_a_cell_whose_test_failed_and_a_server_that_did_not_run_say_so(script: ModuleType) -> None:
    held = {"seed": "ok", "schema": "named", "continue": "refused"}
    proof = {
        "date": "2026-01-01",
        "machine": "one",
        "model": "m",
        "servers": {"openai": {"package": "p", "held": held}},
        "not_run": {"vllm": "it did not start"},
    }
    table = script.render(proof)
    assert "| seed | ok |" in table
    assert "| JSON Schema | no; named `json_schema` |" in table
    assert "| continue | refused (`cannot_continue`) |" in table
    assert "| min_p | **failed** |" in table
    assert "Not run here: vLLM: it did not start; SGLang" in table
