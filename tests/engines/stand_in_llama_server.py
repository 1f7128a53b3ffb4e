#!/usr/bin/env python
"""Takes llama-server's flags and runs the same server from the library, for tests of --server-binary.

Unknown flags are refused, as the original does. The key comes by LLAMA_API_KEY.
"""

import argparse
import os
import sys
import time

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for text in ("model", "alias", "host", "cache-type-k", "cache-type-v", "slot-save-path"):
        parser.add_argument(f"--{text}")
    numbers = ("port", "ctx-size", "parallel", "batch-size", "ubatch-size", "threads", "threads-batch")
    for number in (*numbers, "n-gpu-layers", "cache-ram"):
        parser.add_argument(f"--{number}", type=int)
    for flag in ("no-webui", "no-mmap", "jinja"):
        parser.add_argument(f"--{flag}", action="store_true")
    given = parser.parse_args()
    p = xllamacpp.CommonParams()
    p.model.path, p.model_alias = given.model, {given.alias}
    p.hostnames, p.port, p.api_keys = [given.host], given.port, [os.environ["LLAMA_API_KEY"]]
    p.n_ctx, p.n_parallel, p.kv_unified = given.ctx_size, given.parallel, False
    p.n_batch, p.n_ubatch, p.cache_ram_mib = given.batch_size, given.ubatch_size, given.cache_ram
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = given.threads
    p.slot_save_path, p.ui = given.slot_save_path, not given.no_webui
    server = xllamacpp.Server(p)
    print("listening on", server.listening_address, file=sys.stderr, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
