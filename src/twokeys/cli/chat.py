"""`twokeys chat`: one turn from the command line, or an interactive session.

What is said is stored like the browser's conversations and can be opened there.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twokeys.cli.attached import attach, check_fit, read_files
from twokeys.cli.conversations import find_conversation
from twokeys.cli.failures import EXIT_INTERRUPTED, StoredFailure
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output, clean
from twokeys.cli.recover import Mode, recover_mode, recover_turn
from twokeys.core import by_hand
from twokeys.documents.document import Document
from twokeys.errors import BadInput, BadParameter, EmptyMessage, Reason, TwoKeysError
from twokeys.types import Conversation, Message, Settings

if TYPE_CHECKING:
    from twokeys.services import Services


def chat(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="chat.prompt", show_default=False)
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", "-p", metavar="NAME", help="chat.preset")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="NAME", help="chat.task")] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", "-t", metavar="T", help="chat.temperature")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", "-n", metavar="N", help="chat.max_new_tokens")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="chat.seed")] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="chat.system")] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", "-c", metavar="ID", help="chat.conversation")
    ] = None,
    guard: Annotated[str | None, typer.Option("--guard", metavar="LEVEL", help="chat.guard")] = None,
    go_on: Annotated[bool, typer.Option("--continue", help="chat.continue")] = False,
    recover: Annotated[str, typer.Option("--recover", metavar="auto|ask|off", help="chat.recover")] = "ask",
    files: Annotated[
        list[Path] | None, typer.Option("--file", "-f", metavar="PATH", help="chat.file", show_default=False)
    ] = None,
    pages: Annotated[str | None, typer.Option("--pages", metavar="3-7,9", help="chat.pages")] = None,
    model: Model = None,
    as_json: Json = False,
) -> int:
    call = Invocation.of(context, model, as_json)
    mode = recover_mode(recover)
    changes = {
        name: value
        for name, value in (("temperature", temperature), ("max_new_tokens", max_new_tokens), ("seed", seed))
        if value is not None
    }
    text = read_prompt(prompt, call.out, go_on=go_on)
    if go_on and (prompt is not None or conversation is None):
        raise BadInput(reason=Reason("cli.chat.continue_alone"))
    if (files or pages is not None) and text is None:
        raise BadInput(reason=Reason("cli.attached.needs_prompt"))
    documents = read_files(files or (), pages, call.out) if files or pages is not None else []
    with call.services() as services:
        known = find_conversation(services.repository, conversation) if conversation else None
        settings = choose_settings(services, known, preset, changes, system, guard)
        if task is not None:
            settings = choose_task(services, settings, task, text or "")
        if text is None and not go_on:
            from twokeys.cli.session import Session

            return Session(services, call.out, known, settings, recover=mode).run()
        return one_turn(services, call.out, known, settings, text, mode, documents)


def read_prompt(prompt: str | None, out: Output, *, go_on: bool) -> str | None:
    """Return the prompt: the argument, or standard input for "-" and for a pipe. None: a person is there."""
    if go_on or (prompt is None and sys.stdin.isatty() and sys.stdout.isatty()):
        if out.as_json and not go_on:
            raise BadInput(reason=Reason("cli.chat.json_needs_prompt"))
        return None
    if prompt is not None and prompt != "-":
        return clean(prompt)
    return sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\r\n")


def choose_settings(
    services: "Services",
    conversation: Conversation | None,
    preset: str | None,
    changes: Mapping[str, Any],
    system: str | None,
    guard: str | None = None,
) -> Settings:
    """Return the conversation's settings (or the defaults) with the preset and the options applied.

    Raises NotFound for an unknown preset, BadParameter for a value out of range.
    """
    settings = conversation.settings if conversation else Settings()
    if preset is not None:
        settings = by_hand.choose_preset(settings, services.presets, preset)
    if changes:
        settings = by_hand.set_parameters(settings, services.presets, changes)
    if system is not None:
        changed = replace(settings, system_prompt=clean(system))
        settings = by_hand.drop_stale_preset(changed, services.presets)
    if guard is not None:
        settings = replace(settings, guard=guard_levels(guard))
    return settings


def choose_task(services: "Services", settings: Settings, name: str, text: str) -> Settings:
    """Return the settings with what a task sets, apart from what a person set by hand.

    "auto" lets the message itself say which task it is; unsure, nothing changes. Raises NotFound.
    """
    from twokeys.core.advice.advisor import task_named

    automatic = name == "auto"
    task = services.advice.classify(text).task if automatic else task_named(name)
    if task is None:
        return settings
    own = services.advice.changes_for(task, settings, text)
    chosen = settings.task if automatic else task.name
    changed = replace(settings, sampling=settings.sampling.with_(**own), task=chosen)
    return by_hand.drop_stale_preset(changed, services.presets)


def guard_levels(level: str) -> Mapping[str, str]:
    """Return the guard's settings that let every detector do as much. Raises BadParameter."""
    from twokeys.core.guard import LEVELS, GuardSettings

    if level not in LEVELS:
        raise BadParameter(field="guard", value=level, allowed=" | ".join(LEVELS))
    return GuardSettings.all_at(level).to_dict()


def one_turn(
    services: "Services",
    out: Output,
    known: Conversation | None,
    settings: Settings,
    text: str | None,
    recover: Mode = "off",
    documents: Sequence[Document] = (),
) -> int:
    """Ask once (or continue, when text is None), show the answer and return the exit code."""
    from twokeys.cli.turn import TurnRunner, done_object

    if text is not None and not text.strip():
        raise EmptyMessage()
    if out.errors.is_terminal and (name := services.engines.name) is not None:
        out.note(model_line(name, out))
    runner = TurnRunner(services, out, drawn=out.console.is_terminal and not out.console.is_dumb_terminal)
    if known is None:
        conversation = services.conversations.new(settings)
    else:
        conversation = services.conversations.set_settings(known.id, settings)
    try:
        with runner.follow(conversation.id) as follower:
            if documents and text is not None:
                attachments = attach(services, documents)
                check_fit(services, conversation.id, attachments, text)
                sent = services.answers.send(conversation.id, text, attachments=attachments)
                turn = runner.show(sent, follower)
            elif text is None:
                last = last_answer(services, conversation.id)
                turn = runner.show(services.answers.continue_(last.id), follower, before=last.content)
            else:
                turn = runner.show(services.answers.send(conversation.id, text), follower)
            turn = recover_turn(services, out, runner, follower, turn, recover)
    except TwoKeysError:
        if known is None:  # nothing was said in it: it would only be an empty line in the list
            services.conversations.delete(conversation.id)
        raise
    if turn.message.error is not None:
        raise StoredFailure(turn.message.error)
    if out.as_json:
        out.json(done_object(turn.message))
    elif out.errors.is_terminal or turn.cut:
        runner.say_footer(turn, how_to_continue=f"twokeys chat -c {conversation.id} --continue")
    return EXIT_INTERRUPTED if turn.cancelled else 0


def model_line(name: str, out: Output) -> str:
    """Say which model answers; another one than Qwen2.5-7B-Instruct is always named as such."""
    from twokeys.models.catalogue import is_main_model

    key = "chat.model" if is_main_model(name) else "chat.other_model"
    return out.text(key, model=name)


def last_answer(services: "Services", conversation_id: str) -> Message:
    """Return the answer a conversation ends with. Raises BadInput when it ends with none."""
    branch = services.conversations.messages(conversation_id, limit=1)
    if not branch or branch[-1].role != "assistant":
        raise BadInput(reason=Reason("cli.chat.nothing_to_continue"))
    return branch[-1]
