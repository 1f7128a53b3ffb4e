"""The survey of a machine: what a child reports, and a child that crashes, hangs or prints nonsense."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twokeys.builds.survey import CHILD, LOOKS, read_survey, survey_machine

FACTS = json.dumps({"look": "facts", "cards": [{"system": "linux", "machine": "x86_64", "glibc": "2.36"}]})
NVML = json.dumps(
    {
        "look": "nvml",
        "cards": [
            {"name": "NVIDIA GeForce RTX 3060", "vendor": "nvidia", "kind": "discrete", "total_bytes": 12}
            | {"driver": "550.163.01", "compute": "8.6"}
        ],
    }
)


def child(tmp_path: Path, *lines: str, then: str = "") -> list[str]:
    """Return the command of a child that prints lines and does something at the end."""
    script = tmp_path / "child.py"
    printed = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    script.write_text(f"import os, signal, time\n{printed}{then}\n")
    return [sys.executable, str(script)]


def test_this_machine_is_surveyed_for_real() -> None:
    survey = survey_machine()
    assert survey.system == sys.platform
    assert survey.machine
    assert "crashed" not in survey.problems.values() and "nonsense" not in survey.problems.values()


@pytest.mark.skipif(sys.platform != "linux", reason="Mesa's software device belongs to Linux")
def test_the_software_device_is_seen_as_what_it_is(software_card: None) -> None:
    survey = survey_machine()
    card = next(card for card in survey.cards if card.kind == "software")
    assert "llvmpipe" in card.name
    assert card.vulkan is not None and card.vulkan >= (1, 2)
    assert card.total_bytes > 1 << 28


def test_no_vulkan_driver_is_told_from_no_vulkan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nowhere.json")
    assert survey_machine().problems["vulkan"] in ("no_driver", "absent")


NVIDIA = """
NVML_ERROR_LIBRARY_NOT_FOUND, NVML_ERROR_DRIVER_NOT_LOADED = 12, 9
class NVMLError(Exception):
    def __init__(self, value): self.value = value
class Memory:
    total, free = 24 << 30, 20 << 30
def nvmlInit(): {init}
def nvmlSystemGetDriverVersion(): return b"610.12"
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetMemoryInfo(handle): return Memory
def nvmlDeviceGetName(handle): return "NVIDIA GeForce RTX 4090"
def nvmlDeviceGetCudaComputeCapability(handle): return [8, 9]
NVML_CLOCK_MEM = 2
def nvmlDeviceGetMaxClockInfo(handle, kind): return {2: 10501}[kind]
def nvmlDeviceGetMemoryBusWidth(handle): return 384
"""


@pytest.mark.parametrize(
    ("init", "cards", "problem"),
    [
        ("pass", 2, None),
        ("raise NVMLError(12)", 0, "absent"),
        ("raise NVMLError(18)", 0, "failed"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 0, "crashed"),
    ],
)
def test_nvml_is_asked_whatever_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: str, cards: int, problem: str | None
) -> None:
    (tmp_path / "pynvml.py").write_text(NVIDIA.replace("{init}", init))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    survey = survey_machine()
    known = [card for card in survey.cards if card.vendor == "nvidia"]
    assert len(known) == cards
    assert survey.problems.get("nvml") == problem
    for card in known:
        assert (card.driver_major, card.compute, card.total_bytes) == (610, (8, 9), 24 << 30)
        assert card.bandwidth == 1_008_096_000_000, "1008 GB/s in its data sheet"


def test_what_was_found_before_a_crash_counts_and_the_culprit_is_named(tmp_path: Path) -> None:
    begun = json.dumps({"look": "vulkan"})
    crashing = child(tmp_path, FACTS, NVML, begun, then="os.kill(os.getpid(), signal.SIGSEGV)")
    survey = survey_machine(crashing)
    assert [card.name for card in survey.cards] == ["NVIDIA GeForce RTX 3060"]
    assert survey.problems["vulkan"] == "crashed"
    assert survey.problems["rocm"] == "not_asked"


def test_a_hanging_driver_is_given_up_and_named(tmp_path: Path) -> None:
    hanging = child(tmp_path, FACTS, json.dumps({"look": "nvml"}), then="time.sleep(60)")
    survey = survey_machine(hanging, timeout_s=1.0)
    assert survey.system == "linux"
    assert survey.problems["nvml"] == "hung"


def test_a_survey_that_nobody_waits_for_any_more_ends_by_itself() -> None:
    hung = "import time, survey_child as c; c.LONGEST_S = 0.2; c.LOOKS = {'facts': lambda: time.sleep(60)}"
    environment = {**os.environ, "PYTHONPATH": str(CHILD.parent)}
    ended = subprocess.run(
        [sys.executable, "-c", f"{hung}; c.main()"], env=environment, timeout=30, check=False
    )
    assert ended.returncode != 0


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Segmentation fault",
        '{"look": "nvml", "cards": [{"total_bytes": "many"}]}',
        '{"look": "nvml", "cards": [7, null]}',
        '[1, 2]\n{"look": "else", "cards": []}',
        "\0\x07",
    ],
)
def test_nonsense_is_a_result_with_a_reason(said: str) -> None:
    survey = read_survey(said.splitlines())
    assert survey.cards == ()
    assert survey.problems["nvml"] == "nonsense"


def test_a_child_that_cannot_be_started_is_a_result_too(tmp_path: Path) -> None:
    survey = survey_machine([str(tmp_path / "nothing")])
    assert set(survey.problems) == set(LOOKS) - {"facts"}


def test_nvml_and_vulkan_mean_one_card_and_the_bus_adds_only_what_nobody_knew() -> None:
    lines = [
        FACTS,
        NVML,
        json.dumps({"look": "pci", "cards": [{"vendor": "nvidia"}, {"vendor": "amd"}]}),
        json.dumps(
            {
                "look": "vulkan",
                "cards": [
                    {"name": "NVIDIA GeForce RTX 3060", "vendor": "nvidia", "kind": "discrete"}
                    | {"vulkan": "1.3", "total_bytes": 13}
                ],
            }
        ),
    ]
    known, idle = read_survey(lines).cards
    assert (known.driver, known.vulkan, known.total_bytes) == ("550.163.01", (1, 3), 12)
    assert (idle.vendor, idle.name) == ("amd", "")


def test_the_child_imports_nothing_of_twokeys() -> None:
    assert "twokeys" not in CHILD.read_text(encoding="utf-8").replace("nothing of TwoKeys is", "").lower()
    assert os.access(CHILD, os.R_OK)
