"""Texts that look like a model's control tokens, made harmless for servers that read them as such.

Knows no tokenizer: it goes by how the tokens of common models are spelled.
"""

import re

_CONTROL = re.compile(
    r"<(?=\|[^|<>\s]{1,40}\|>|/?s>|(?:start|end)_of_turn>|/?(?:bos|eos|unk|pad)>)|\[(?=/?INST\])"
)


def escape_special_tokens(text: str) -> str:
    """Return `text` with a word joiner inside whatever looks like a control token."""
    return _CONTROL.sub(lambda match: match.group() + "\u2060", text)
