"""How long the API waits before it says something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds.

    heartbeat_s: a stream says so often that it is still there. first_word_s: so long a stream waits for
    its first text before it answers 200; an error in this time has its status. loading_s: so long a
    request waits for a model that is being loaded.
    """

    heartbeat_s: float = 10.0
    first_word_s: float = 11.0
    loading_s: float = 10.0


PATIENCE = Patience()
