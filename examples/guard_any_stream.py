"""Watch any stream of text with the guard, here one of the OpenAI client.

python examples/guard_any_stream.py http://127.0.0.1:8000/v1 MODEL "Write a very long list."
"""

import sys
from collections.abc import Iterable, Iterator

from twokeys.core.guard import Guard


def watched(pieces: Iterable[str], question: str) -> Iterator[str]:
    """Yield the pieces until the guard is certain that they go in circles."""
    guard, chars = Guard({"stall": "off"}, question), 0
    for number, piece in enumerate(pieces, start=1):
        chars += len(piece)
        yield piece
        if any(event.level == "stop" for event in guard.on_token(piece, number, chars)):
            return


if __name__ == "__main__":
    from openai import OpenAI

    url, model, question = sys.argv[1:4]
    stream = OpenAI(base_url=url, api_key="-").chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], stream=True
    )
    for text in watched(
        (chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices), question
    ):
        print(text, end="", flush=True)
