"""A moment as short as a list has room for: the hour today, the day this year, the date before that."""

import calendar
from datetime import datetime, timedelta

from twokeys.ui.words import language, t


def short_text(at: datetime, now: datetime) -> str:
    """Return when something was, in the reader's language."""
    if at.date() == now.date():
        return at.strftime("%H:%M")
    if at.date() == (now - timedelta(days=1)).date():
        return t("ui.date.yesterday")
    if at.year == now.year:
        month = at.month if language() == "zh" else calendar.month_abbr[at.month]
        return t("ui.date.day", month=month, day=at.day)
    return at.strftime("%Y-%m-%d")
