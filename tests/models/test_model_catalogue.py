"""The catalogue: the names people write, sizes that add up, texts in both languages."""

import pytest

from twokeys.errors import NotFound
from twokeys.i18n import translate
from twokeys.models import catalogue
from twokeys.models.catalogue import CATALOGUE, QUANTISATIONS, by_file, find, is_main_model, variants


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("qwen2.5-7b", "qwen2.5-7b"),
        ("Qwen2.5-7B-Instruct", "qwen2.5-7b"),
        ("Qwen/Qwen2.5-7B-Instruct-GGUF", "qwen2.5-7b"),
        ("qwen2.5-7b-instruct:q5_k_m", "qwen2.5-7b:q5_k_m"),
        ("qwen2.5-7b:Q4_K_M", "qwen2.5-7b"),
        ("qwen2.5-1.5b-instruct-q8_0.gguf", "qwen2.5-1.5b:q8_0"),
        ("qwen2.5-7b-instruct-q8_0-00002-of-00003.gguf", "qwen2.5-7b:q8_0"),
        (" smollm2-135m ", "smollm2-135m"),
        ("smollm2-135m:q4_1", "smollm2-135m"),
    ],
)
def test_every_usual_spelling_finds_the_model(spelling: str, name: str) -> None:
    assert find(spelling).name == name


@pytest.mark.parametrize("name", ["", "qwen3-8b", "qwen2.5-7b:q9", "smollm2-135m:q8_0", ":", "../qwen2.5-7b"])
def test_an_unknown_name_or_quantisation_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        find(name)


def test_the_seven_b_in_four_bits_is_split_into_two_pinned_files() -> None:
    model = find("qwen2.5-7b")
    assert [part.file for part in model.parts] == [
        "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf",
        "qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf",
    ]
    assert model.bytes == 4_683_073_632
    assert all(part.sha256 for part in model.parts)


def test_kv_cache_figures_are_those_of_the_specification() -> None:
    assert find("qwen2.5-7b").shape.kv_bytes_per_token() == 56 * 1024
    assert find("qwen2.5-coder-0.5b").shape.kv_bytes_per_token() == 12288


@pytest.mark.parametrize("name", catalogue.PREFERRED)
def test_every_quantisation_is_selectable_and_grows_with_its_bits(name: str) -> None:
    models = {model.quantisation: model for model in variants(name)}
    assert tuple(models) == QUANTISATIONS
    order = ["q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "fp16"]
    sizes = [models[quantisation].bytes for quantisation in order]
    assert sizes == sorted(sizes)
    assert len({part.file for model in models.values() for part in model.parts}) == sum(
        len(model.parts) for model in models.values()
    )
    for model in models.values():
        assert find(model.name) == model
        assert all(by_file(part.file) == model for part in model.parts)


@pytest.mark.parametrize(
    "name",
    [
        "qwen2.5-7b",
        "qwen2.5-7b:q8_0",
        "Qwen/Qwen2.5-7B-Instruct",
        "Qwen/Qwen2.5-7B-Instruct-GGUF",
        "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4",
        "Qwen2.5-7B-Instruct-AWQ",
        "qwen2.5:7b",
        "qwen2.5:7b-instruct-q4_K_M",
        "/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        "C:\\models\\Qwen2.5-7B-Instruct-IQ4_XS.gguf",
        "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf",
        "Qwen2.5-7B-Instruct.Q5_K_M",
    ],
)
def test_the_main_model_is_known_under_every_spelling(name: str) -> None:
    assert is_main_model(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "qwen2.5-7b-base",
        "Qwen/Qwen2.5-7B",
        "Qwen2.5-7B-Q4_K_M.gguf",
        "Qwen/Qwen2.5-7B-Instruct-1M",
        "Qwen2.5-7B-Instruct-abliterated",
        "me/qwen2.5-7b-instruct-lora",
        "my-qwen2.5-7b-instruct",
        "Qwen2.5-Coder-7B-Instruct",
        "Qwen2.5-Math-7B-Instruct",
        "Qwen2.5-VL-7B-Instruct",
        "qwen2.5-0.5b",
        "qwen2.5-72b-instruct",
        "scripted",
    ],
)
def test_base_models_fine_tunes_and_relatives_are_not_the_main_model(name: str) -> None:
    assert not is_main_model(name)


def test_the_pieces_of_a_wheel_borne_model_add_up_to_it() -> None:
    for model in CATALOGUE:
        if model.is_fallback:
            assert sum(piece.member_bytes for piece in model.wheels) == model.bytes
            assert model.sha256
            assert all(len(piece.wheel_sha256) == 64 for piece in model.wheels)


def test_every_model_is_described_in_both_languages() -> None:
    for model in CATALOGUE:
        key = f"models.about.{model.base}"
        assert translate(key, "zh") != translate(key, "en")
