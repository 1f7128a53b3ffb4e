"""The measures against published reference implementations, and against answers worked out by hand."""

import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.metrics.distance import jaccard_distance
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.util import ngrams as nltk_ngrams

from twokeys.core import metrics
from twokeys.types import Candidate, TokenProb

TEXTS = st.text(alphabet="ab c中文。, \n", max_size=60)
CAT = ["The cat sat on the mat today.", "The cat lay on a mat today.", "A dog ran over the field at noon."]
CHINESE = ["今天天气很好，我们去公园散步。", "今天天气不错，我们去公园走走。", "机器学习需要大量的数据。"]


def test_chinese_is_split_by_characters_and_other_text_by_words() -> None:
    assert metrics.text_tokens("LSTM 的门控机制, it's 3.5!") == [
        "lstm", "的", "门", "控", "机", "制", ",", "it's", "3", ".", "5", "!",
    ]  # fmt: skip


@given(TEXTS, st.integers(1, 4))
def test_ngrams_and_distinct_are_those_of_nltk(text: str, n: int) -> None:
    tokens = metrics.text_tokens(text)
    reference = list(nltk_ngrams(tokens, n))
    assert metrics.ngrams(tokens, n) == reference
    if reference:
        assert metrics.distinct(tokens, n) == len(set(reference)) / len(reference)
        assert metrics.repetition(tokens, n) == 1 - metrics.distinct(tokens, n)
    else:
        assert math.isnan(metrics.distinct(tokens, n))


@pytest.mark.parametrize(("answers", "tokenizer"), [(CAT, "13a"), (CHINESE, "zh")])
def test_self_bleu_is_the_mean_of_sacrebleus_sentence_scores(answers: list[str], tokenizer: str) -> None:
    scores = [
        sacrebleu.sentence_bleu(
            answer, [other for other in answers if other != answer], tokenize=tokenizer
        ).score
        for answer in answers
    ]
    assert metrics.self_bleu(answers) == pytest.approx(sum(scores) / 3)


def test_self_bleu_agrees_with_nltk_where_no_smoothing_is_needed() -> None:
    answers = [
        "the quick brown fox jumps over the lazy dog near the old river bank",
        "the quick brown fox jumps over the sleepy dog near the old river bank",
    ]
    tokens = [answer.split() for answer in answers]
    plain = SmoothingFunction().method0
    reference = [100 * sentence_bleu([tokens[1 - i]], tokens[i], smoothing_function=plain) for i in range(2)]
    assert metrics.self_bleu(answers) == pytest.approx(sum(reference) / 2)


def test_identical_answers_have_self_bleu_100_and_similarity_1() -> None:
    assert metrics.self_bleu([CAT[0]] * 3) == pytest.approx(100)
    assert metrics.similarity([CAT[0]] * 3) == 1.0
    assert metrics.similarity(["42", "42"]) == 1.0
    assert metrics.similarity(["42", "17"]) == 0.0


def test_similarity_is_one_minus_nltks_jaccard_distance() -> None:
    sets = [set(nltk_ngrams(metrics.text_tokens(text), 2)) for text in CAT]
    reference = [1 - jaccard_distance(sets[i], sets[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert metrics.similarity(CAT) == pytest.approx(sum(reference) / 3)


@pytest.mark.parametrize("measure", [metrics.self_bleu, metrics.similarity])
def test_one_answer_has_no_diversity(measure: object) -> None:
    assert math.isnan(measure(["alone"]))  # type: ignore[operator]


def test_repetition_along_the_answer_starts_new_and_ends_old_in_a_loop() -> None:
    fresh = [f"w{i}" for i in range(200)]
    curve = metrics.repetition_along(fresh + fresh, 4, 100)
    assert curve == [0.0, 0.0, 1.0, 1.0]
    assert metrics.tail_repetition(fresh) == 0.0
    assert metrics.tail_repetition(fresh + fresh) == 1.0
    assert math.isnan(metrics.tail_repetition(fresh[:20]))


@pytest.mark.parametrize(
    ("asked", "got", "score"),
    [
        (1000, 1000, 100),
        (1000, 4000, 0),
        (1000, 2500, 50),
        (1000, 500, 50),
        (1000, 333.3333, 0),
        (1000, 0, 0),
    ],
)
def test_length_score_is_longwriters(asked: float, got: float, score: float) -> None:
    assert metrics.length_score(asked, got) == pytest.approx(score, abs=0.01)


def test_length_is_counted_in_words_or_in_characters() -> None:
    assert metrics.length_of("Two words, 3 more.", "words") == 4
    assert metrics.length_of("你好， 世界！", "chars") == 6


def test_entropy_and_surprise_of_known_distributions() -> None:
    half = math.log(0.5)
    coin = TokenProb("a", 1, half, 0, (Candidate("a", 1, half), Candidate("b", 2, half)))
    sure = TokenProb("c", 3, 0.0, 1, (Candidate("c", 3, 0.0),))
    assert metrics.mean_entropy([coin]) == pytest.approx(math.log(2))
    assert metrics.mean_entropy([coin, sure]) == pytest.approx(math.log(2) / 2)
    assert metrics.mean_nll([coin, sure]) == pytest.approx(math.log(2) / 2)
    assert math.isnan(metrics.mean_nll([]))


def test_windows_are_means_and_a_short_rest_is_left_out() -> None:
    assert metrics.windowed([1, 1, 3, 3, 5], 2) == [1, 3, 5]
    assert metrics.windowed([1, 1, 1, 1, 9], 4) == [1]


def test_new_phrases_at_the_end_are_counted_and_a_loop_has_none() -> None:
    fresh = [str(n) for n in range(300)]
    assert metrics.new_at_end(fresh, 4, 128) == 128
    assert metrics.new_at_end(["a", "b", "c"] * 100, 4, 128) == 0
    half = [str(n) for n in range(236)] + [str(n) for n in range(64)]
    assert metrics.new_at_end(half, 4, 128) == 128 - 61
    assert math.isnan(metrics.new_at_end(fresh[:200], 4, 128)), "too short to tell"
