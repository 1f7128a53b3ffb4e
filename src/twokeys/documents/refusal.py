"""Why a document is not read: raised by the readers, made an error of the house by reader.py."""


class Refusal(Exception):
    """problem: a key of texts/documents.toml under `problem`; values fill its braces."""

    def __init__(self, problem: str, **values: object) -> None:
        super().__init__(problem)
        self.problem = problem
        self.values = values
