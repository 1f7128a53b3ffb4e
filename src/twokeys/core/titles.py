"""Titles made by the model: the request for one, and what is kept of its reply.

The request goes on from the conversation's own beginning, so the engine's prompt cache stays of use
for the conversation.
"""

import re
from collections.abc import Sequence

from twokeys.core.context import first_words
from twokeys.types import ChatMessage, GenerationRequest, Sampling

TITLE_TOKENS = 24
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LABEL = re.compile(r"^\s*(?:标题|题目|title)\s*[:：]\s*", re.IGNORECASE)
_WRAPPING = " \t\"'“”‘’「」『』《》*#`.。!！"


def title_request(messages: Sequence[ChatMessage]) -> GenerationRequest:
    """Ask for a short title in the language of the question."""
    chinese = any(_CHINESE.search(message.content) for message in messages if message.role == "user")
    ask = (
        "给上面的对话起一个标题，不超过 12 个字。只写标题本身。"
        if chinese
        else "Give this conversation a title of at most six words. Write only the title."
    )
    return GenerationRequest(
        messages=(*messages, ChatMessage("user", ask)),
        sampling=Sampling(temperature=0.2, max_new_tokens=TITLE_TOKENS, stop=("\n",)),
    )


def clean_title(reply: str) -> str:
    """Return a usable title, or "" when the reply is none."""
    line = next((line for line in reply.splitlines() if line.strip()), "")
    title = _LABEL.sub("", line).strip(_WRAPPING)
    return first_words(title, 40) if 2 <= len(title) <= 80 else ""
