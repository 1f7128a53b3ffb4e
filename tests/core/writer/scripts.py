"""A scripted author: answers the outline's request with JSON and every section with fitting prose."""

import itertools
import json
import re
from collections.abc import Callable, Sequence

from twokeys.engines.scripted import Say, Step
from twokeys.types import GenerationRequest

WORDS = (
    *("river", "stone", "light", "window", "garden", "market", "engine", "letter", "winter", "harbor"),
    *("signal", "copper", "valley", "thread", "mirror", "basket", "lantern", "orchard", "meadow", "ladder"),
)
SUBJECTS = (
    *("船长", "工程师", "图书馆", "河流", "山谷", "市场", "信件", "冬天"),
    *("港口", "灯塔", "果园", "镜子", "机器", "花园", "窗户", "梯子"),
)


def outline_json(chapters: int = 3, sections: int = 2, *, zh: bool = False) -> str:
    names = itertools.count(1)

    def title(kind: str) -> str:
        number = next(names)
        return f"{kind}的第{number}个话题" if zh else f"{kind} topic {number}"

    value = {
        "chapters": [
            {
                "title": title("章" if zh else "Chapter"),
                "sections": [
                    {
                        "title": title("节" if zh else "Section"),
                        "goal": "说明它的道理" if zh else "say why",
                        "length": 200,
                    }
                    for _ in range(sections)
                ],
            }
            for _ in range(chapters)
        ]
    }
    return json.dumps(value, ensure_ascii=False)


def prose(length: int, seed: int, *, zh: bool = False) -> str:
    """Return text of about `length` words (characters in Chinese) that repeats no sentence."""
    sentences, have = [], 0
    number = seed * 1009
    while have < length:
        number += 1
        if zh:
            entry = (
                "".join(SUBJECTS[(number * k * k + k) % len(SUBJECTS)] for k in (3, 5, 7, 11))
                + f"在第{number}次相遇。"
            )
            have += len(entry)
        else:
            picked = [WORDS[(number * k * k + k * seed) % len(WORDS)] for k in (3, 5, 7, 11, 13, 17)]
            entry = f"The {' '.join(picked)} was seen {number} times."
            have += 11
        sentences.append(entry)
    return ("" if zh else " ").join(sentences)


def asked_length(request: GenerationRequest) -> int:
    numbers = re.findall(r"(?:about|约) (\d+)", request.messages[-1].content)
    return int(numbers[-1]) if numbers else 60


def author(
    *, share: float = 1.0, zh: bool = False, outline: str | None = None, delay_s: float = 0.0
) -> Callable[[GenerationRequest], Sequence[Step]]:
    """Return a script that writes `share` of the length asked for. It goes on where a prefix ends."""
    seeds: dict[str, int] = {}

    def script(request: GenerationRequest) -> Sequence[Step]:
        if request.json_schema is not None:
            return [Say(outline or outline_json(zh=zh))]
        question = request.messages[-1].content
        seed = seeds.setdefault(question, len(seeds) + 1)
        text = prose(int(asked_length(request) * share), seed, zh=zh)
        return [Say(text[len(request.prefix) :], delay_s)]

    return script
