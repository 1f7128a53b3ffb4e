"""`/table` and `/json` typed into the message box: the form of this message's answers, or of all from now on.

How they are read is in core/structured/command.py; sends nothing.
"""

from collections.abc import Sequence

from twokeys.core.context import ContextPlan
from twokeys.core.structured.command import FormCommand, form_command
from twokeys.documents.document import Document
from twokeys.errors import BadInput
from twokeys.ui import answer_form, changes, notices, state
from twokeys.ui.format import markdown_label
from twokeys.ui.words import t


def plan(conversation_id: str, text: str, documents: Sequence[Document] = ()) -> ContextPlan:
    """Return what a message would need as it stands in the box. Raises what `Answers.plan` raises."""
    answers = state.services().answers
    try:
        typed = message(text)
    except BadInput:  # half typed
        return answers.plan(conversation_id, documents=documents)
    return answers.plan(conversation_id, typed.question, documents=documents, answer_schema=typed.schema)


def message(text: str) -> FormCommand:
    """Return the question with the form that it alone is asked in, None for the conversation's.

    Raises BadInput for a form that cannot be.
    """
    return form_command(text) or FormCommand(None, text)


def take(conversation_id: str, text: str) -> bool:
    """Take on the form for all answers from now on where no question follows it; say so.

    Returns False where there is a question to send. Raises BadInput for a form that cannot be.
    """
    command = form_command(text)
    if command is None:
        return False
    if command.question and command.schema is not None:
        return False
    changes.save_settings(conversation_id, answer_schema=command.schema)
    if command.question:
        return False
    if command.schema is None:
        notices.tell(notices.Notice(t("structured.typed.off")))
    else:
        form = markdown_label(answer_form.label(command.schema))
        notices.tell(notices.Notice(t("structured.typed.on", form=form)))
    return True
