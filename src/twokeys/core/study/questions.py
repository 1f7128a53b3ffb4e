"""Question sets made by rule: as many as a study wants, graded 1 … 5, each with its computed right answer.

`made_prompts("arithmetic", "en", 200)` makes the same 200 questions every time; another seed makes others.
A study file asks for them as `prompts = ["made/arithmetic-en:200"]`. Answers are a number or one of a few
options, so that they can be judged by rule. Makes no question that takes knowledge of the world.
"""

import datetime
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Literal, cast

from twokeys.core.study.prompt import Checker, StudyPrompt, Task
from twokeys.errors import BadParameter, NotFound

Language = Literal["zh", "en"]
GRADES = 5
MOST = 20_000
PREFIX = "made/"

NAMES: Mapping[Language, tuple[str, ...]] = {
    "en": ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry"),
    "zh": ("小安", "小宾", "小晨", "小丹", "小恩", "小凡", "小格", "小航"),
}
THINGS: Mapping[Language, tuple[str, ...]] = {
    "en": ("apples", "pencils", "stamps", "books", "marbles", "cups"),
    "zh": ("苹果", "铅笔", "邮票", "书", "弹珠", "杯子"),
}
WEEKDAYS: Mapping[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
# (zh, en, how many of the smaller unit are in the larger one, zh, en)
UNITS = (
    ("米", "metres", 100, "厘米", "centimetres"), ("千克", "kilograms", 1000, "克", "grams"),
    ("小时", "hours", 60, "分钟", "minutes"), ("分钟", "minutes", 60, "秒", "seconds"),
    ("千米", "kilometres", 1000, "米", "metres"), ("天", "days", 24, "小时", "hours"),
)  # fmt: skip


def made_prompts(kind: str, language: str, count: int, seed: int = 1) -> tuple[StudyPrompt, ...]:
    """Return `count` different questions of a kind in "zh" or "en"; grades rise and begin again.

    Raises NotFound for an unknown kind or language, BadParameter for a count out of range or where the kind
    has no more questions than that.
    """
    if kind not in KINDS or language not in NAMES:
        raise NotFound(kind="question set", name=f"{kind}-{language}")
    if not 1 <= count <= MOST:
        raise BadParameter(field="prompts", value=count, allowed=f"1 … {MOST}")
    task, make = KINDS[kind]
    rng = random.Random(f"{kind}/{seed}")
    prompts: dict[str, StudyPrompt] = {}
    tries = 0
    while len(prompts) < count:
        tries += 1
        if tries > 50 * count + 1000:
            raise BadParameter(field="prompts", value=count, allowed=f"≤ {len(prompts)}")
        grade = len(prompts) % GRADES + 1
        text, checker = make(rng, grade, cast(Language, language))
        if text not in prompts:
            number = len(prompts) + 1
            prompts[text] = StudyPrompt(
                f"{kind}-{language}-{seed}.{number}-g{grade}", text, task, cast(Language, language), checker
            )
    return tuple(prompts.values())


def named_prompts(name: str) -> tuple[StudyPrompt, ...]:
    """Return the questions of "made/KIND-LANGUAGE:COUNT" or "made/KIND-LANGUAGE:COUNT:SEED".

    Raises NotFound or BadParameter.
    """
    base, _, rest = name.removeprefix(PREFIX).partition(":")
    kind, _, language = base.rpartition("-")
    count, _, seed = rest.partition(":")
    if not count.isdecimal() or (seed and not seed.isdecimal()):
        raise NotFound(kind="question set", name=name)
    return made_prompts(kind, language, int(count), int(seed or 1))


# ---- the kinds: each returns a question and how its answer is judged ---------------------------


def _number(value: float) -> Checker:
    return Checker("number", value)


def _arithmetic(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    top = (10, 30, 100, 300, 1000)[grade - 1]
    terms = [rng.randint(1, top) for _ in range(2 + (grade >= 3) + (grade >= 5))]
    value, text = terms[0], str(terms[0])
    for term in terms[1:]:
        sign = rng.choice("+-")
        value += term if sign == "+" else -term
        text += f" {sign} {term}"
    if grade >= 4:
        factor = rng.randint(2, 9)
        value, text = value * factor, f"({text}) × {factor}"
    return (
        f"计算：{text} = ？只写结果。" if language == "zh" else f"Compute {text}. Give the result only.",
        _number(value),
    )


def _units(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    zh, en, many, zh_small, en_small = rng.choice(UNITS)
    large, small = (
        rng.randint(1, (9, 20, 50, 99, 400)[grade - 1]),
        rng.randint(1, many - 1) if grade > 2 else 0,
    )
    value = large * many + small
    if language == "zh":
        rest = f"{small} {zh_small}" if small else ""
        return f"{large} {zh}{rest and ' ' + rest}等于多少{zh_small}？只写数字。", _number(value)
    rest = f" and {small} {en_small}" if small else ""
    return f"How many {en_small} are {large} {en}{rest}? Give the number only.", _number(value)


def _dates(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    day, ahead = rng.randrange(7), rng.randint(1, (6, 13, 50, 200, 900)[grade - 1])
    names = WEEKDAYS[language]
    if grade < 4:
        right = names[(day + ahead) % 7]
        text = (
            f"今天是{names[day]}。{ahead} 天以后是星期几？"
            if language == "zh"
            else f"Today is {names[day]}. Which day of the week is it in {ahead} days?"
        )
        return text, Checker("choice", right, names)
    first = datetime.date(2001, 1, 1) + datetime.timedelta(days=rng.randrange(9000))
    second = first + datetime.timedelta(days=ahead)
    if language == "zh":
        return f"从 {first} 到 {second} 相隔多少天？只写数字。", _number(ahead)
    return f"How many days lie between {first} and {second}? Give the number only.", _number(ahead)


def _ordering(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    numbers = rng.sample(range(1, (20, 60, 200, 900, 9000)[grade - 1]), 3 + grade)
    place = rng.randint(1, len(numbers))
    listed = ", ".join(map(str, numbers))
    value = sorted(numbers)[place - 1]
    if language == "zh":
        return f"把 {listed} 从小到大排列，第 {place} 个数是多少？只写这个数。", _number(value)
    return f"Sort {listed} in ascending order. Which number is in place {place}? Give it only.", _number(
        value
    )


def _comparison(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    people = rng.sample(NAMES[language], 2 + (grade > 2))
    counts = rng.sample(range(2, (10, 20, 60, 200, 900)[grade - 1]), len(people))
    thing = rng.choice(THINGS[language])
    most = rng.random() < 0.5
    right = people[counts.index(max(counts) if most else min(counts))]
    if language == "zh":
        said = "，".join(f"{who}有 {n} 件{thing}" for who, n in zip(people, counts, strict=True))
        return f"{said}。谁的{thing}最{'多' if most else '少'}？只写名字。", Checker(
            "choice", right, tuple(people)
        )
    said = ", ".join(f"{who} has {n} {thing}" for who, n in zip(people, counts, strict=True))
    word = "most" if most else "fewest"
    return f"{said}. Who has the {word} {thing}? Give the name only.", Checker("choice", right, tuple(people))


def _strings(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    letters = "abcde"[: 2 + (grade > 2)]
    text = "".join(rng.choice(letters) for _ in range(3 + 2 * grade))
    letter = rng.choice(letters)
    if language == "zh":
        return f"字符串 {text} 里有几个字母 {letter}？只写数字。", _number(text.count(letter))
    return f"How many times does the letter {letter} occur in {text}? Give the number only.", _number(
        text.count(letter)
    )


def _lists(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    numbers = [rng.randint(1, (9, 9, 20, 50, 99)[grade - 1]) for _ in range(3 + grade)]
    act = rng.choice(("sum", "even", "span"))
    value = {
        "sum": sum(numbers),
        "even": sum(1 for n in numbers if n % 2 == 0),
        "span": max(numbers) - min(numbers),
    }[act]
    zh = {"sum": "所有数的和是多少", "even": "有几个偶数", "span": "最大数减最小数是多少"}[act]
    en = {
        "sum": "What is the sum of all numbers",
        "even": "How many numbers are even",
        "span": "What is the largest number minus the smallest",
    }[act]
    if language == "zh":
        return f"列表 {numbers} 里{zh}？只写数字。", _number(value)
    return f"{en} in the list {numbers}? Give the number only.", _number(value)


def _code(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    start, step, turns = rng.randint(0, 9), rng.randint(1, 3 * grade), rng.randint(2, 2 + grade)
    value = start
    lines = [f"x = {start}", f"for i in range({turns}):", f"    x = x + {step}"]
    for i in range(turns):
        value += step
        if grade > 2 and i % 2 == 0:
            value += i
    if grade > 2:
        lines += ["    if i % 2 == 0:", "        x = x + i"]
    if grade > 3:
        factor = rng.randint(2, 5)
        value *= factor
        lines.append(f"x = x * {factor}")
    program = "\n".join([*lines, "print(x)"])
    asked = (
        "这段 Python 程序输出什么？只写数字。"
        if language == "zh"
        else "What does this Python program print? Give the number only."
    )
    return f"{asked}\n\n```python\n{program}\n```", _number(value)


def _table(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    people = rng.sample(NAMES[language], min(2 + grade, len(NAMES[language])))
    things = rng.sample(THINGS[language], 2 + (grade > 2))
    counts = {who: [rng.randint(1, 99) for _ in things] for who in people}
    head = "| | " + " | ".join(things) + " |\n|" + " --- |" * (len(things) + 1)
    rows = "\n".join(f"| {who} | " + " | ".join(map(str, counts[who])) + " |" for who in people)
    who, column = rng.choice(people), rng.randrange(len(things))
    if grade > 3:
        value = sum(counts[name][column] for name in people)
        asked = (
            f"所有人一共有多少{things[column]}？只写数字。"
            if language == "zh"
            else f"How many {things[column]} do they all have together? Give the number only."
        )
    else:
        value = counts[who][column]
        asked = (
            f"{who}有多少{things[column]}？只写数字。"
            if language == "zh"
            else f"How many {things[column]} does {who} have? Give the number only."
        )
    return f"{head}\n{rows}\n\n{asked}", _number(value)


def _logic(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    people = rng.sample(NAMES[language], 2 + grade if grade < 5 else 6)
    pairs = list(itertools.pairwise(people))
    rng.shuffle(pairs)
    tallest = rng.random() < 0.5
    right = people[0] if tallest else people[-1]
    options = tuple(sorted(people))
    if language == "zh":
        said = "，".join(f"{a}比{b}高" for a, b in pairs)
        return f"{said}。谁最{'高' if tallest else '矮'}？只写名字。", Checker("choice", right, options)
    said = ", ".join(f"{a} is taller than {b}" for a, b in pairs)
    word = "tallest" if tallest else "shortest"
    return f"{said}. Who is the {word}? Give the name only.", Checker("choice", right, options)


def _reading(rng: random.Random, grade: int, language: Language) -> tuple[str, Checker]:
    people, thing = rng.sample(NAMES[language], 1 + grade), rng.choice(THINGS[language])
    has = [rng.randint(5, 60) for _ in people]
    gives = rng.randint(1, 4)
    asked = rng.randrange(len(people))
    value = has[asked]
    if len(people) > 1:
        value += gives * ((asked == 1) - (asked == 0))
    if language == "zh":
        said = "。".join(f"{who}早上有 {n} 件{thing}" for who, n in zip(people, has, strict=True))
        moved = f"。中午，{people[0]}给了{people[1]} {gives} 件。" if len(people) > 1 else "。"
        return f"{said}{moved}晚上{people[asked]}有多少件{thing}？只写数字。", _number(value)
    said = ". ".join(f"In the morning {who} had {n} {thing}" for who, n in zip(people, has, strict=True))
    moved = f". At noon {people[0]} gave {people[1]} {gives} of them." if len(people) > 1 else "."
    return (
        f"{said}{moved} How many {thing} did {people[asked]} have in the evening? Give the number only.",
        _number(value),
    )


Maker = Callable[[random.Random, int, Language], tuple[str, Checker]]
KINDS: Mapping[str, tuple[Task, Maker]] = {
    "arithmetic": ("math", _arithmetic),
    "units": ("math", _units),
    "dates": ("math", _dates),
    "ordering": ("extract", _ordering),
    "comparison": ("choice", _comparison),
    "strings": ("extract", _strings),
    "lists": ("math", _lists),
    "code": ("code", _code),
    "table": ("extract", _table),
    "logic": ("choice", _logic),
    "reading": ("extract", _reading),
}
"""The kinds by name, each with its task."""
