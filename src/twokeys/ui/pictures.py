"""Pictures in a text that a model wrote.

A picture's address is chosen by the model, or by whoever wrote what the model has read. Fetching it tells a
server elsewhere that, when and by whom the text is read, and can carry words of the conversation in the
address. So no picture is ever fetched: it is shown as a link that a person can look at first.
"""


def without_pictures(text: str) -> str:
    """Return a Markdown text with links in the place of pictures."""
    return text.replace("![", "[")
