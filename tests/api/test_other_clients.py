"""Programs that speak OpenAI's API, as people use them, on the real engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Api

QUESTION = "Name a colour."


def test_langchain_answers_and_streams(real_api: Api) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model="twokeys/precise",
        base_url=real_api.base_url,
        api_key=real_api.key,
        max_tokens=12,
        seed=7,
        max_retries=0,
    )  # type: ignore[call-arg,arg-type]
    whole = model.invoke(QUESTION)
    assert whole.response_metadata["finish_reason"] in ("stop", "length")
    assert 0 < whole.usage_metadata["output_tokens"] <= 12
    assert "".join(str(piece.content) for piece in model.stream(QUESTION)) == whole.content


def test_litellm_answers_and_raises_its_own_errors(real_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    asked = {
        "model": "openai/twokeys",
        "api_base": real_api.base_url,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    answer = litellm.completion(**asked, api_key=real_api.key, max_tokens=12, seed=7)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**asked, api_key="tk-wrong", num_retries=0)


def test_the_command_llm_answers_through_its_list_of_openai_models(real_api: Api, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        "- model_id: twokeys\n  model_name: twokeys\n  api_key_name: twokeys\n"
        f"  api_base: {real_api.base_url}\n"
    )
    env = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "llm",
            "prompt",
            "-m",
            "twokeys",
            "--key",
            real_api.key,
            "--no-log",
            QUESTION,
            "-o",
            "max_tokens",
            "12",
            "-o",
            "seed",
            "7",
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
