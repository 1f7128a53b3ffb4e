"""Plan and reality on a card: start in every cell, read the engine's own buffer sizes, and end.

    python benchmarks/card_memory.py LLAMA_SERVER MODEL.gguf --out benchmarks/results/card_memory.json

A card is whatever the server lists first; Mesa's software device serves (VK_ICD_FILENAMES, and
GGML_VK_VISIBLE_DEVICES=0, since llama.cpp leaves it out otherwise). A cell is good when the plan of the
device is off by at most 3 % or 50 MiB, whichever is larger. Nothing is written, so speed plays no part.
"""

import argparse
import itertools
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from twokeys.core.memory.choose import CARD_BATCH, CARD_UBATCH
from twokeys.core.memory.plan import StartChoice, memory_needs
from twokeys.engines.trial_start import HOST, measure_start
from twokeys.model_shape import file_shape
from twokeys.models.gguf import read_model
from twokeys.types import KvType, WorkerSpec

MIB = 1 << 20
SHARES = (0.25, 0.5, 1.0)
CONTEXTS = (1024, 4096)
KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0")
TOLERANCE_SHARE, TOLERANCE_BYTES = 0.03, 50 * MIB


def measure(server: str, path: Path, choice: StartChoice) -> dict[str, object]:
    """Return what was planned and what the engine says of one start."""
    shape = file_shape(path.stem, read_model(path))
    needs = memory_needs(shape, choice)
    spec = WorkerSpec(
        str(path),
        path.stem,
        context=choice.context,
        kv_type=choice.kv_type,
        gpu_layers=choice.gpu_layers,
        batch=choice.batch,
        ubatch=choice.ubatch,
        server_binary=server,
    )
    with tempfile.TemporaryDirectory() as folder:
        real = measure_start(spec, Path(folder))
    [device] = [buffers for place, buffers in real.items() if place != HOST]
    planned = needs.device.weights_bytes + needs.device.kv_bytes + needs.device.compute_bytes
    held = device.weights_bytes + device.kv_bytes + device.compute_bytes
    return {
        "model": path.stem,
        "layers": choice.gpu_layers,
        "context": choice.context,
        "kv_type": choice.kv_type,
        "planned_bytes": planned,
        "real_bytes": held,
        "real": {place: asdict(buffers) for place, buffers in real.items()},
        "good": abs(planned - held) <= max(TOLERANCE_SHARE * held, TOLERANCE_BYTES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server")
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    layers = file_shape(asked.model.stem, read_model(asked.model)).layers
    rows = []
    for share, context, kv_type in itertools.product(SHARES, CONTEXTS, KV_TYPES):
        on_card = -1 if share == 1.0 else round(share * layers)
        choice = StartChoice(context, 1, kv_type, CARD_BATCH, CARD_UBATCH, on_card)
        row = measure(asked.server, asked.model, choice)
        print(json.dumps(row), flush=True)
        rows.append(row)
    asked.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
