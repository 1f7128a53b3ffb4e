"""Dates of lists: as short as they can be and still be told apart."""

from datetime import datetime

import pytest
import streamlit as st

from twokeys.services import Services
from twokeys.ui.dates import short_text

NOW = datetime(2026, 3, 1, 0, 20)


@pytest.mark.parametrize(
    ("at", "zh", "en"),
    [
        (datetime(2026, 3, 1, 0, 5), "00:05", "00:05"),
        (datetime(2026, 2, 28, 23, 59), "昨天", "Yesterday"),
        (datetime(2026, 2, 27, 12, 0), "2月27日", "Feb 27"),
        (datetime(2025, 12, 31, 12, 0), "2025-12-31", "2025-12-31"),
    ],
)
def test_a_date_says_the_hour_the_day_or_the_year(
    services: Services, at: datetime, zh: str, en: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for language, expected in (("zh", zh), ("en", en)):
        monkeypatch.setattr(st, "session_state", {"language": language})
        assert short_text(at, NOW) == expected
