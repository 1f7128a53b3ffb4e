"""How engines and servers say that memory ran out: in their logs and in their refusals.

Only words: what follows from them is for whoever reads the log or the answer.
"""

import re

_WORDS = re.compile(
    r"out of memory|(?:failed|unable) to allocate|cannot allocate memory|bad_alloc|(?:cuda|hip)Malloc failed|"
    r"ErrorOutOfDeviceMemory|not enough (?:memory|vram)|insufficient (?:memory|system resources)|"
    r"requires more (?:system |gpu )?memory|no available memory for the cache blocks|"
    r"(?:terminated|no longer running): (?:signal: killed|9\b)",
    re.IGNORECASE,
)


_DEVICE = re.compile(
    r"\b(?:CUDA|Vulkan|ROCm|HIP|SYCL|MTL|Metal|CANN|MUSA|OpenCL)\d* buffer|cudaMalloc|hipMalloc|"
    r"(?:CUDA|ROCm|HIP) error: out of memory|ErrorOutOfDeviceMemory|\bvram\b",
    re.IGNORECASE,
)


def tells_of_device(text: str) -> bool:
    """Return whether a line that tells of too little memory means a graphics card's."""
    return tells_of_memory(text) and _DEVICE.search(text) is not None


def tells_of_memory(text: str) -> bool:
    """Return whether a log line or a server's message says that memory was too short."""
    return _WORDS.search(text) is not None
