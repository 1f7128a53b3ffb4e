"""llama.cpp's own server out of the library that TwoKeys brings, with the flags that tests use.

For processors that the test packages' llama-server was not built for. By hand:
`python tests/llama_server.py --model model.gguf --port 8080`.
"""

import argparse
import os
import signal
import threading
from pathlib import Path

NEEDS = "amx_tile"
"""The packaged llama-server is built for processors with these instructions and ends on others."""


def packaged_runs() -> bool:
    """Return whether this processor can run the packaged llama-server."""
    try:
        return NEEDS in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return True


def main() -> None:
    """Serve until a signal ends it."""
    import xllamacpp  # not by every test run, only by the server itself

    parser = argparse.ArgumentParser()
    parser.add_argument("--model", "-m", required=True)
    parser.add_argument("--alias", default="model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ctx-size", "-c", type=int, default=0)
    parser.add_argument("--parallel", "-np", type=int, default=1)
    parser.add_argument("--no-kv-unified", action="store_true")
    asked = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = asked.model, {asked.alias}
    params.hostnames, params.port = [asked.host], asked.port
    params.n_ctx, params.n_parallel = asked.ctx_size, asked.parallel
    params.kv_unified = not asked.no_kv_unified
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = asked.threads
    params.offline = params.endpoint_slots = True
    if os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [os.environ["LLAMA_API_KEY"]]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = xllamacpp.Server(params)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
