"""Labels that small models put before a section's text: "标题：…", "正文：", "Title: …", "Section 2: …".

Taken off at the beginning only, and never where the lines are a list of terms ("Title: …", "Author: …")
or where the text itself is ordered by such numbers. What follows a label on its line is kept unless it
is a heading. Pure; judges no text.
"""

import re
from collections.abc import Collection, Sequence

LONGEST_HEADING = 80
"""A longer remainder of a title's label is taken for prose and kept."""

_COUNT = r"第\s*[一二三四五六七八九十\d]+(?:\.\d+)*\s*"
_NUMBER = re.compile(
    rf"^\s*({_COUNT}[章节部分]+|(Section|Chapter|Part)\s+\d+(\.\d+)*\b"
    r"|[\d一二三四五六七八九十]+(\.\d+)*[.、．:：)]?)\s*",
    re.IGNORECASE,
)
_TITLE = r"(?:小节|章节|本节|节|文章)?标题|题目|(?:Section |Chapter )?(?:Title|Heading)"
_NUMBERED = rf"{_COUNT}[章节](?:\s*《[^》]*》)?|(?:Section|Chapter)(?: \d+(?:\.\d+)*)?"
_BODY = (
    r"(?:本节|小节|章节)?正文(?:内容)?|内容|摘要|过渡句|译文"
    r"|(?:扩写|改写|压缩|翻译|续写)后?的?(?:文字|文本|内容|正文|段落)?"
    r"|(?:Body|Section|Expanded|Condensed|Rewritten|Revised|Translated) (?:Text|Version|Passage)"
    r"|Text|Body|Content|Abstract|Summary|Translation|Transition"
)
_LABEL = re.compile(
    rf"^\s*(?:#{{1,6}}\s*)?[*_]{{0,3}}[《【\[]?"
    rf"(?:(?P<title>{_TITLE})|(?P<body>{_BODY})|(?P<numbered>{_NUMBERED}))"
    r"[》】\]]?[*_]{0,3}\s*[:：]\s*[*_]{0,3}\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"^\s*(?:#{{1,6}}\s*)?[*_]{{0,3}}[《【\[]?(?:{_BODY}|回答|答案|Answer)[》】\]]?[*_]{{0,3}}"
    r"\s*[:：]?[*_]{0,3}\s*$",
    re.IGNORECASE,
)
_OWN = re.compile(r"^(?P<name>[^\n:：]{1,80})[:：]\s*[*_]{0,3}\s*(?P<rest>\S.*)$")
_TERM = re.compile(r"^\s*[*_]{0,3}[^\s:：,，、。.!！?？]{1,2}[^:：,，、。.!！?？]{0,24}[:：][*_]{0,3}\s*\S")
_RULE = re.compile(r"^\s*[-=*_]{3,}\s*$")
_SENTENCE = re.compile(r"[。！!？?；;]|\.(?=\s|$)")
_MARK = re.compile(r"^\s*(?:[-*+]|\d+[.)、．])\s+")
_TASK = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^(?:现在|请)*写?第\s*[\d.]+\s*节《(?P<title>[^》]*)》(?:，它属于《.*》)?。?$",
        r"^Now write section [\d.]+, [“\"](?P<title>[^”\"]*)[”\"](?:, which belongs to [“\"].*[”\"])?\.?$",
        r"^篇幅：约\s*\d+\s*字，\s*\d+\s*段。?(?P<title>)$",
        r"^Length: about \d+ words, in \d+ paragraphs\.?(?P<title>)$",
        r"^请直接写出《[^》]*》这一节的正文。?(?P<title>)$",
        r"^(?:第\s*)?\d+(?:\.\d+)*\s*[章节部分]?\s*《(?P<title>[^》]*)》。?$",
        r"^(?:Section |Chapter )?\d+(?:\.\d+)*[.,:]?\s*[“\"](?P<title>[^”\"]*)[”\"]\.?$",
        r"^Write the body of [“\"][^”\"]*[”\"] now\.?(?P<title>)$",
    )
)


def plain_title(text: str) -> str:
    """Return what makes two titles the same: letters and digits without marks and the number before."""
    text = text.strip().strip("#*《》【】 ")
    return _letters(_NUMBER.sub("", text)) or _letters(text)


def task_line(line: str) -> str | None:
    """Return the title that a line of the task names ("" for none); None where it is no such line."""
    line = _MARK.sub("", line).strip(" *#")
    label = next((match for pattern in _TASK if (match := pattern.match(line))), None)
    return None if label is None else label["title"]


def drop_labels(lines: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the lines of a section's text without the labels and headings of its own at the beginning.

    names: the section's own titles, by `plain_title`.
    """
    left = list(lines)
    while left:
        line = left[0]
        if not line.strip() or _RULE.match(line) or plain_title(line) in names or task_line(line) is not None:
            left.pop(0)
            continue
        rest = _after_label(line, left[1:], names)
        if rest is None:
            break
        left[:1] = [rest] if rest else []
    return left


def _after_label(line: str, following: Sequence[str], names: Collection[str]) -> str | None:
    """Return what stays of a line that begins with a label; None where it begins with none."""
    if _BARE.match(line):
        return ""
    label = _LABEL.match(line)
    if label is None:
        own = _OWN.match(line.strip())
        if own is None or plain_title(own["name"]) not in names or _lists_terms(following):
            return None
        return _open(line, own["rest"])
    rest = _open(line, label["rest"])
    if not rest or plain_title(rest) in names:
        return ""
    if _lists_terms(following, within=not label["title"]):
        return None
    if label["numbered"] and any(
        (_LABEL.match(other) or {"numbered": None})["numbered"] for other in following
    ):
        return None  # the text is ordered by such numbers
    heading = len(rest) <= LONGEST_HEADING and not _SENTENCE.search(rest)
    return "" if heading and not label["body"] else rest


def _lists_terms(following: Sequence[str], *, within: bool = False) -> bool:
    """Whether the next line is one of a list of terms. within: another label is one of them too."""
    beside = next((other for other in following if other.strip()), "")
    return bool(_TERM.match(beside)) and (within or not _LABEL.match(beside))


def _open(line: str, rest: str) -> str:
    """Take off a closing mark whose opening went with the label."""
    for mark in ("***", "**", "*", "__", "_"):
        if line.strip().startswith(mark) and rest.endswith(mark) and rest.count(mark) % 2:
            return rest[: -len(mark)].rstrip()
    return rest


def _letters(text: str) -> str:
    return re.sub(r"[\s\W_]+", "", text).lower()
