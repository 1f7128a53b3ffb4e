"""Short ways to send a request to the API, and to wait for what comes of it."""

import json
import time
from collections.abc import Callable

import httpx

from .conftest import Api

NUMBERS = " ".join(str(n * 7919 % 10007) for n in range(2000))
"""A long text that nothing takes for a loop."""

BODY = {"model": "twokeys", "messages": [{"role": "user", "content": "Hello"}]}


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def post(api: Api, content: object = None, **more: object) -> httpx.Response:
    body = (
        content
        if isinstance(content, bytes)
        else json.dumps(content if content is not None else BODY).encode()
    )
    headers = {"Content-Type": "application/json", **api.headers, **more.pop("headers", {})}  # type: ignore[dict-item]
    return httpx.post(
        f"{api.base_url}/chat/completions", content=body, headers=headers, timeout=60, trust_env=False
    )
