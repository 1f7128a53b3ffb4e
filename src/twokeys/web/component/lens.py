"""Token probabilities under the lens: the heat map of an answer, and the thermometer.

`heatmap` colours every token by its probability, shows the alternatives, and has a thermometer for the
chosen token or the average over the answer. `thermometer` is the thermometer alone. All reshaping is
done in the browser (tests/oracles/outlook.py is its mirror); what a person does comes back as an `Action`:

    fork     data: token (number), candidate (token id)      let the answer grow on from another token
    widen    data: token                                     ask the engine for more candidates there

The thermometer knows temperature, top_k, top_p and min_p. All other parameters need what was written
before, or all candidates, or chance; the heat map names those that were on (`not_drawn`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from twokeys.i18n import translate
from twokeys.types import PARAMETERS, Candidate, Sampling, TokenProb
from twokeys.web.component import Action, component_texts, draw_component

KNOBS = ("temperature", "top_k", "top_p", "min_p", "order")
"""What the thermometer can turn; the browser computes exactly these."""


def heatmap(
    probs: Sequence[TokenProb],
    *,
    sampling: Sampling,
    language: str,
    key: str,
    wider: Mapping[int, Sequence[Candidate]] | None = None,
    fork: bool = False,
    widen: bool = False,
    vocabulary: int | None = None,
    unsupported: Collection[str] = (),
    on_action: Callable[[Action], None] | None = None,
) -> None:
    """Draw an answer's heat map with the thermometer beside it.

    sampling: what the answer was written with; the thermometer begins there. unsupported: parameters of
    it that the server did not take. wider: more candidates of
    single places, by token number. fork, widen: whether these actions are offered. vocabulary: number
    of tokens of the model; None stands for Qwen2.5's, whose bounds hold for smaller ones too.
    """
    data = {
        "tokens": [
            [prob.text, prob.token_id, round(prob.logprob, 5), _candidates(prob.alternatives)]
            for prob in probs
        ],
        "wider": {str(index): _candidates(candidates) for index, candidates in (wider or {}).items()},
        "knobs": knobs_of(sampling),
        "not_drawn": not_drawn(sampling, language, unsupported),
        "vocabulary": vocabulary,
        "texts": component_texts(language, "lens"),
        "options": {"lang": language, "fork": fork, "widen": widen},
    }
    draw_component("heatmap", data, key=key, on_action=on_action)


def thermometer(
    candidates: Sequence[tuple[str, float]],
    *,
    sampling: Sampling,
    language: str,
    key: str,
    written: int | None = None,
    vocabulary: int | None = None,
) -> None:
    """Draw the thermometer over one token's candidates: (text, natural-log probability), likeliest first.

    written: number of the candidate that was written. The sliders live in the browser alone.
    """
    data = {
        "place": {"candidates": [list(candidate) for candidate in candidates], "written": written},
        "knobs": knobs_of(sampling),
        "vocabulary": vocabulary,
        "texts": component_texts(language, "lens"),
        "options": {"lang": language},
    }
    draw_component("thermometer", data, key=key, on_action=None)


def knobs_of(sampling: Sampling) -> dict[str, object]:
    """Return the parameters that the thermometer can turn."""
    return {name: getattr(sampling, name) for name in KNOBS}


def not_drawn(sampling: Sampling, language: str, unsupported: Collection[str] = ()) -> list[str]:
    """Return what was on and is not in the thermometer's picture, each as its name and value."""
    return [
        f"{translate(f'sidebar.parameter.{name}.label', language)} {getattr(sampling, name):g}"
        for name, parameter in PARAMETERS.items()
        if parameter.bounds is not None
        and parameter.off is not None
        and name not in KNOBS
        and name not in unsupported
        and getattr(sampling, name) != parameter.off
    ]


def _candidates(candidates: Sequence[Candidate]) -> list[list[object]]:
    return [[candidate.text, candidate.token_id, round(candidate.logprob, 5)] for candidate in candidates]
