"""Numbers as a person reads them. Pure; knows only the two languages."""

import html
import math


def bytes_text(count: int | float | None) -> str:
    """Return a size in the unit that keeps it short: 468 MB, 4.4 GB (1 MB = 10⁶ bytes)."""
    if count is None:
        return "–"
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB" if size < 100 else f"{size:.0f} GB"


def memory_text(count: int | float | None) -> str:
    """Return an amount of memory in MiB or GiB."""
    if count is None:
        return "–"
    mib = count / 2**20
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.2f} GiB"


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


def count_text(number: int | float) -> str:
    """Return a whole number with thousands separated by a thin space (from 10 000 on)."""
    whole = int(number)
    return f"{whole:,}".replace(",", "\u2009") if abs(whole) >= 10_000 else str(whole)


def escape(text: str) -> str:
    """Return text that is safe inside our own HTML."""
    return html.escape(text, quote=True)


def markdown_label(text: str) -> str:
    """Return text that Streamlit's labels show literally: its Markdown marks are escaped."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~$:" else c for c in flat)
