"""Sizes, amounts of memory and spans of time as a person reads them: the one place they are formatted.

Pure, and below everything; knows only the two languages. Files and downloads are told in powers of
1000, as download pages do; memory in powers of 1024, as operating systems do.
"""

import math


def bytes_text(count: float | None) -> str:
    """Return the size of a file with three digits: 468 MB, 4.68 GB (1 MB = 10⁶ bytes)."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}" if unit in ("B", "kB") else f"{_three_digits(value)} {unit}"
        value /= 1000
    return f"{_three_digits(value)} TB"


def memory_text(count: float | None) -> str:
    """Return an amount of memory: 812 MiB, 4.61 GiB (1 MiB = 2²⁰ bytes)."""
    if count is None:
        return "–"
    mib = count / 2**20
    return f"{mib:.0f} MiB" if abs(mib) < 1000 else f"{mib / 1024:.2f} GiB"


def duration_text(seconds: float | None, language: str) -> str:
    """Return a span of time: 0.8 s, 45 s, 3 min, 1 h 20 min, in the language's words."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    zh = language == "zh"
    if seconds < 10:
        return f"{seconds:.1f} 秒" if zh else f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} 秒" if zh else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} 分钟" if zh else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} 小时 {rest} 分" if zh else f"{hours} h {rest} min"


def signed_text(value: float | None, digits: int = 1) -> str:
    """Return a difference with its sign, none where it rounds to zero; "–" for None and NaN."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _three_digits(value: float) -> str:
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"
