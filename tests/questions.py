"""Questions to the small model whose answers have a known length."""

LONG = "Write a long fairy tale about a fox who travels around the whole world."
"""SmolLM2 answers it with more than a thousand tokens, whatever the seed."""

SEED = "1"
"""The seed of the tests that start a command: the same answer each time when it is written alone."""
