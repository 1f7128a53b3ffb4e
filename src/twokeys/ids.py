"""Identifiers for conversations, messages and jobs.

They sort by creation time and are safe in URLs and file names. They are not secrets.
"""

import secrets
import time


def new_id() -> str:
    """Return a new 20-character identifier: 12 hex digits of milliseconds, 8 random ones."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(4)}"
