"""The process that hosts llama.cpp. A stand-alone script: it imports nothing of TwoKeys.

It reads one JSON line from standard input (the start order, with the private key: never in the
arguments, which other users can list), starts llama.cpp's own server on loopback, prints one JSON
line `{"address": …, "context": …, "training_context": …}` and lives until standard input ends,
which is how it learns that its parent died. The log goes to standard error.

With "server_binary" in the order it starts that llama-server instead and guards it the same way.
By hand: `python worker.py --order '{"model_path": "model.gguf", "model_name": "m"}'`.

What it does not do: restart, choose a model, or talk to anybody but its parent.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

DEAD_ORIGIN = "http://cors.invalid"
NGRAM = 8
"""Tokens that have to agree with an earlier place before what followed there is drafted."""
MOD_NGRAM, MOD_FEWEST = 24, 48
LOG_VERBOSITY = 4
"""llama.cpp's level that tells the buffers' sizes and the sampler chain, but no one's words."""


def main() -> None:
    by_hand = len(sys.argv) == 3 and sys.argv[1] == "--order"
    order = json.loads(sys.argv[2] if by_hand else sys.stdin.buffer.readline())
    order.setdefault("key", secrets.token_urlsafe(24))
    os.environ["GGML_NO_BACKTRACE"] = "1"
    limit_memory(order.get("memory_limit_bytes"))
    die_with_parent()
    trained = training_context(order["model_path"])
    context = int(order.get("context") or trained or 4096)
    if trained:
        context = min(context, trained)
    order["context"] = context
    facts = {"context": context, "training_context": trained}
    if by_hand:
        facts["key"] = order["key"]
    if order.get("server_binary"):
        host_binary(order, facts)
    else:
        host_library(order, facts)


def host_library(order: dict[str, Any], facts: dict[str, Any]) -> None:
    """Run llama.cpp's server inside this process until standard input ends."""
    import xllamacpp

    server = xllamacpp.Server(library_parameters(xllamacpp, order))
    stop_watching_by_signal()
    say({"address": server.listening_address, **facts})
    wait_for_end_of_input()
    if order.get("slot_dir"):
        shutil.rmtree(order["slot_dir"], ignore_errors=True)
    os._exit(0)


def library_parameters(xllamacpp: Any, order: dict[str, Any]) -> object:
    """Return CommonParams for the order; the reasons for the values are in docs/architecture.md."""
    p = xllamacpp.CommonParams()
    slots = int(order.get("parallel", 1))
    p.model.path = order["model_path"]
    p.model_alias = {order.get("model_name", "model")}
    p.hostnames = ["127.0.0.1"]
    p.port = 0
    p.api_keys = [order["key"]]
    p.ui = False
    p.offline = True
    p.cors_origins = DEAD_ORIGIN
    p.cors_origins_explicit = True
    p.cors_credentials = False
    p.n_ctx = order["context"] * slots
    p.n_parallel = slots
    p.kv_unified = False
    p.n_threads_http = slots + 8
    p.cache_ram_mib = int(order.get("prompt_cache_mib", 0))
    p.cache_idle_slots = p.cache_ram_mib != 0
    p.n_ctx_checkpoints = int(order.get("checkpoints", 2))
    p.n_batch, p.n_ubatch = int(order.get("batch", 128)), int(order.get("ubatch", 128))
    modes = xllamacpp.llama_load_mode
    copies = order.get("load_mode", "copy") == "copy"
    p.load_mode = modes.LLAMA_LOAD_MODE_NONE if copies else modes.LLAMA_LOAD_MODE_MMAP
    kinds = xllamacpp.ggml_type
    kv = {"f16": kinds.GGML_TYPE_F16, "q8_0": kinds.GGML_TYPE_Q8_0, "q4_0": kinds.GGML_TYPE_Q4_0}
    p.cache_type_k = p.cache_type_v = kv[order.get("kv_type", "f16")]
    p.n_gpu_layers = int(order.get("gpu_layers", 0))
    p.no_op_offload = p.no_kv_offload = p.n_gpu_layers == 0
    p.fit_params = bool(order.get("preflight"))
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(order.get("threads") or 1)
    p.endpoint_slots = True
    p.endpoint_metrics = False
    p.verbosity = LOG_VERBOSITY
    if order.get("slot_dir"):
        p.slot_save_path = order["slot_dir"] + os.sep
    if order.get("draft"):
        let_draft(xllamacpp, p, order["draft"])
    return p


def let_draft(xllamacpp: Any, p: Any, draft: dict[str, Any]) -> None:
    """Set how tokens are drafted; see types.Draft. The engine has no switch for a single request."""
    kinds, tokens = xllamacpp.common_speculative_type, int(draft["tokens"])
    if draft["kind"] == "simple":
        p.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        p.speculative.ngram_simple.size_n = NGRAM
        p.speculative.ngram_simple.size_m = tokens
    elif draft["kind"] == "mod":
        p.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_MOD]
        p.speculative.ngram_mod.n_match = MOD_NGRAM
        p.speculative.ngram_mod.n_min = min(MOD_FEWEST, tokens)
        p.speculative.ngram_mod.n_max = tokens
    else:
        p.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        p.speculative.draft.mparams.path = draft["path"]
        p.speculative.draft.n_max = tokens
        p.speculative.draft.n_gpu_layers = 0
        # draws as the model would and is checked by rejection, which keeps the distribution: above a
        # temperature of 0.5 more is accepted than of the likeliest tokens (F19, llama.cpp PR 27694)
        p.speculative.draft.probabilistic = True
        threads = p.cpuparams.n_threads
        p.speculative.draft.cpuparams.n_threads = p.speculative.draft.cpuparams_batch.n_threads = threads
    if draft.get("acceptance") is not None:
        p.speculative.synth_rates = [float(draft["acceptance"])] * tokens


def host_binary(order: dict[str, Any], facts: dict[str, Any]) -> None:
    """Run a llama-server as a child of this process until standard input ends or it does."""
    port = free_port()
    child = subprocess.Popen(
        binary_command(order, port),
        env=binary_environment(order),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.buffer,
        preexec_fn=die_with_guard if sys.platform == "linux" else None,
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    stop_watching_by_signal()
    threading.Thread(target=end_with_input, args=(child,), daemon=True).start()
    address = f"http://127.0.0.1:{port}"
    while child.poll() is None and not answers(address, order["key"]):
        time.sleep(0.1)
    if child.poll() is None:
        say({"address": address, "server_pid": child.pid, **facts})
    code = child.wait()
    if code < 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)  # sys.exit would abort: the thread that waits for the end of input holds its lock


def binary_command(order: dict[str, Any], port: int) -> list[str]:
    """Return llama-server's command line: only flags that have kept their names for years."""
    slots = int(order.get("parallel", 1))
    batch, ubatch = (str(order.get(name, 128)) for name in ("batch", "ubatch"))
    kv = order.get("kv_type", "f16")
    threads = str(order.get("threads") or 1)
    command = [order["server_binary"], "--model", order["model_path"]]
    command += ["--alias", order.get("model_name", "model")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--ctx-size", str(order["context"] * slots), "--parallel", str(slots)]
    command += ["--batch-size", batch, "--ubatch-size", ubatch, "--cache-type-k", kv, "--cache-type-v", kv]
    command += ["--threads", threads, "--threads-batch", threads]
    command += ["--n-gpu-layers", "999" if order.get("gpu_layers") == -1 else str(order.get("gpu_layers", 0))]
    if order.get("slot_dir"):
        command += ["--slot-save-path", order["slot_dir"] + os.sep]
    return command


def binary_environment(order: dict[str, Any]) -> dict[str, str]:
    """Return llama-server's environment: the key, and settings whose flags come and go between versions.

    A version leaves out variables that it does not know, while an unknown flag ends it. A person's own
    LLAMA_ARG_* are not passed on: the memory plan knows nothing of them.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LLAMA_ARG_")}
    environment |= {
        "LLAMA_API_KEY": order["key"],
        "LLAMA_ARG_FIT": "on" if order.get("preflight") else "off",
        "LLAMA_ARG_KV_UNIFIED": "0",
        "LLAMA_ARG_CACHE_RAM": str(order.get("prompt_cache_mib", 0)),
        "LLAMA_ARG_CTX_CHECKPOINTS": str(order.get("checkpoints", 2)),
        "LLAMA_ARG_JINJA": "1",
        "LLAMA_ARG_UI": "0",
        "LLAMA_ARG_NO_WEBUI": "1",
        "LLAMA_ARG_OFFLINE": "1",
        "LLAMA_ARG_CORS_ORIGINS": DEAD_ORIGIN,
        "LLAMA_ARG_CORS_CREDENTIALS": "0",
        "LLAMA_ARG_LOG_VERBOSITY": str(LOG_VERBOSITY),
    }
    if order.get("load_mode", "copy") == "copy":
        environment |= {"LLAMA_ARG_LOAD_MODE": "none", "LLAMA_ARG_NO_MMAP": "1"}
    if not order.get("gpu_layers"):
        environment["LLAMA_ARG_DEVICE"] = "none"  # else the card is sent operations that no plan counts
    return environment


def end_with_input(child: "subprocess.Popen[bytes]") -> None:
    wait_for_end_of_input()
    child.kill()


def answers(address: str, key: str) -> bool:
    """Return whether our own server (it knows the key) is ready at the address."""
    request = urllib.request.Request(address + "/props", headers={"Authorization": f"Bearer {key}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def wait_for_end_of_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass


def die_with_parent() -> None:
    """While the model loads, no Python runs: let the kernel end us when standard input closes."""
    if sys.platform == "win32" or sys.stdin.isatty():
        return
    import fcntl

    with contextlib.suppress(OSError):
        fd = sys.stdin.fileno()
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def die_with_guard() -> None:
    """Runs in the new child: the kernel ends it when this process is killed (prctl PR_SET_PDEATHSIG)."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def stop_watching_by_signal() -> None:
    if sys.platform != "win32":
        signal.signal(signal.SIGIO, signal.SIG_IGN)


def limit_memory(limit_bytes: int | None) -> None:
    """Make an allocation beyond the limit fail with an error instead of an out-of-memory kill."""
    if limit_bytes and sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


# GGUF value kinds of fixed size: the integers, the floats and bool
_FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B"}
_FIXED |= {10: "<Q", 11: "<q", 12: "<d"}


def training_context(path: str) -> int | None:
    """Return `*.context_length` of a GGUF header, None when it is not there or not readable."""
    try:
        with Path(path).open("rb") as file:
            if file.read(4) != b"GGUF":
                return None
            _version, _tensors, entries = struct.unpack("<IQQ", file.read(20))
            for _ in range(min(entries, 4096)):
                key = _string(file)
                value = _value(file, *struct.unpack("<I", file.read(4)))
                if key.endswith(b".context_length") and isinstance(value, int):
                    return value
    except (OSError, struct.error, ValueError):
        return None
    return None


def _string(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > 1 << 24:
        raise ValueError("string too long")
    return file.read(length)


def _value(file: BinaryIO, kind: int) -> object:
    if kind in _FIXED:
        return struct.unpack(_FIXED[kind], file.read(struct.calcsize(_FIXED[kind])))[0]
    if kind == 8:
        return _string(file)
    if kind != 9:
        raise ValueError(f"unknown kind {kind}")
    inner, count = struct.unpack("<IQ", file.read(12))
    if inner in _FIXED:
        file.seek(count * struct.calcsize(_FIXED[inner]), os.SEEK_CUR)
    else:
        for _ in range(min(count, 1 << 22)):
            _value(file, inner)
    return None


if __name__ == "__main__":
    main()
