"""The OpenAI-compatible API: other programs get what the chat has. `routes.py` is the door.

Knows no screen; it is served by `twokeys ui` beside the page and by `twokeys serve` alone.
"""
