"""Answers that the database could not take, written to a file elsewhere before the app ends."""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from twokeys.files import write_whole
from twokeys.types import Message

log = logging.getLogger(__name__)


def rescue_answers(answers: Sequence[Message]) -> Path | None:
    """Write the answers to a new file and return its path; None when no folder takes it.

    The person's home, the folder for temporary files and the working folder are tried in that order.
    """
    text = "\n\n".join(
        f"<!-- TwoKeys: conversation {answer.conversation_id}, answer {answer.id} -->\n\n{answer.content}"
        for answer in answers
    )
    name = f"twokeys-rescued-{time.strftime('%Y%m%d-%H%M%S')}-{answers[0].id}.md"
    for folder in (Path.home(), Path(tempfile.gettempdir()), Path.cwd()):
        try:
            write_whole(folder / name, text.encode("utf-8", "replace"), replace=False)
        except OSError as error:
            log.warning("answers could not be written to %s: %s", folder, error)
        else:
            return folder / name
    return None
