"""How much memory a process holds for itself, read so that two readings can be compared.

The garbage collector runs and the allocator gives back what is free (glibc keeps it otherwise, more or
less by chance). Counted is what is resident and no file's, and what the system swapped out; elsewhere
than on Linux all that is resident. Child processes are left out.
"""

import ctypes
import gc
import re
import sys
from pathlib import Path

import psutil


def own_bytes() -> int:
    """Return the memory of this process in bytes."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss)
    kib = re.findall(r"^(?:RssAnon|VmSwap):\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    return 1024 * sum(map(int, kib))
