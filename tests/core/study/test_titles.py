"""How figures, cells and claims are written for people, in both languages."""

import pytest

from twokeys.core.study.axes import cell_title
from twokeys.core.study.claims import ClaimResult
from twokeys.core.study.result import shown


@pytest.mark.parametrize(
    ("name", "zh"),
    [
        ("temperature=0.3", "温度 0.3"),
        ("temperature=0.3, max_new_tokens=512", "温度 0.3，最大生成长度 512"),
        ("default", "默认"),
        ("in 4 parts", "in 4 parts"),
        ("a=b", "a=b"),
    ],
)
def test_a_cell_named_by_its_values_is_called_by_their_titles_in_chinese(name: str, zh: str) -> None:
    assert cell_title(name, "zh") == zh
    assert cell_title(name, "en") == name


@pytest.mark.parametrize(
    ("measure", "value", "zh", "en"),
    [
        ("tokens", 3.25, "3.25 个 token", "3.25 tokens"),
        ("tokens", 238.6, "239 个 token", "239 tokens"),
        ("tokens", 1.0, "1 个 token", "1 token"),
        ("entropy", 0.42, "0.42 nat", "0.42 nats"),
        ("total_s", 2.5, "2.5 秒", "2.5 s"),
        ("tok_per_s", 41.2, "41.2 token/秒", "41.2 tok/s"),
        ("correct", 0.5, "50%", "50%"),
        ("memory_bytes", 2**21, "2 MiB", "2 MiB"),
        ("stalls", 2.0, "2", "2"),
    ],
)
def test_a_figure_is_written_with_its_unit_in_the_readers_language(
    measure: str, value: float, zh: str, en: str
) -> None:
    assert (shown(measure, value, "zh"), shown(measure, value, "en")) == (zh, en)


@pytest.mark.parametrize(
    ("claim", "unit", "figures", "zh", "en"),
    [
        ("C2", "share", (0.0667, -0.0397, 0.172), "+6.7 [−4.0, +17.2] 个百分点", "+6.7 [−4.0, +17.2] points"),
        ("C9", "share", (1.0, 0.806, 1.0), "100 [81, 100] %", "100 [81, 100] %"),
        ("C5", "× − 2", (0.46, 0.42, 0.48), "2.46 [2.42, 2.48] 倍", "2.46 [2.42, 2.48] times"),
        ("C12", "nats", (-0.083, None, None), "−0.08 nat", "−0.08 nats"),
        ("C8", "answers", (0.0, None, None), "0 个回答", "0 answers"),
        ("C6", "", (None, None, None), "", ""),
    ],
)
def test_a_claims_figure_is_written_in_units_people_know(
    claim: str, unit: str, figures: tuple[float | None, ...], zh: str, en: str
) -> None:
    row = ClaimResult(claim, "m", "undecided", *figures, unit)
    assert (row.figure_text("zh"), row.figure_text("en")) == (zh, en)
