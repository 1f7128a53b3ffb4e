"""`twokeys chat`: one turn from the command line, or an interactive session.

What is said is stored like the browser's conversations and can be opened there.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.attached import FileRead, attached, material_tokens, read_files
from twokeys.cli.conversations import find_conversation
from twokeys.cli.failures import EXIT_INTERRUPTED, StoredFailure
from twokeys.cli.forms import asked_form
from twokeys.cli.invocation import Invocation, Json, Model
from twokeys.cli.output import Output, clean
from twokeys.cli.recover import Mode, recover_mode, recover_turn
from twokeys.core import by_hand
from twokeys.errors import BadInput, BadParameter, EmptyMessage, Reason, TwoKeysError
from twokeys.types import Conversation, Message, SavedPrompt, Settings

if TYPE_CHECKING:
    from twokeys.services import Services

Question = Annotated[str | None, typer.Argument(metavar="PROMPT", help="chat.prompt", show_default=False)]


def chat(
    context: typer.Context,
    prompt: Question = None,
    prompt_name: Annotated[
        str | None, typer.Option("--prompt", metavar="NAME", help="chat.prompt_name")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="chat.var", show_default=False)
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
    draft: Annotated[str | None, typer.Option("--draft", metavar="NAME", help="chat.draft")] = None,
    pages: Annotated[str | None, typer.Option("--pages", metavar="3-7,9", help="chat.pages")] = None,
    schema: Annotated[str | None, typer.Option("--schema", metavar="FILE", help="chat.schema")] = None,
    model: Model = None,
    as_json: Json = False,
) -> int:
    call = Invocation.of(context, model, as_json)
    mode = recover_mode(recover)
    changes = named_values(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    text = read_prompt(prompt, call.out, go_on=go_on, named=prompt_name is not None)
    if go_on and (prompt is not None or prompt_name is not None or conversation is None):
        raise BadInput(reason=Reason("cli.chat.continue_alone"))
    form = None if schema is None else asked_form(schema)
    read = read_material(files or (), pages, text, call.out)
    with call.services() as services:
        known = find_conversation(services.repository, conversation) if conversation else None
        saved = services.prompts.get(prompt_name, call.out.language) if prompt_name is not None else None
        if saved is not None:
            text = filled(saved, variables or (), text)
        settings = choose_settings(services, known, preset, changes, system, guard, saved)
        if schema is not None:
            settings = by_hand.drop_stale_preset(replace(settings, answer_schema=form), services.presets)
        if task is not None:
            settings = choose_task(services, settings, task, text or "", material_tokens(read))
        if draft is not None:
            settings = choose_drafts(services, settings, draft)
        if text is None and not go_on:
            from twokeys.cli.session import Session

            return Session(services, call.out, known, settings, recover=mode).run()
        return one_turn(services, call.out, known, settings, text, mode, read)


def named_values(**values: float | None) -> dict[str, float]:
    """Return the options that were given, by the names of their parameters."""
    return {name: value for name, value in values.items() if value is not None}


def read_material(
    files: Sequence[Path], pages: str | None, question: str | None, out: Output
) -> list[FileRead]:
    """Return the documents that stand before a question. Raises BadInput without one, and as `read_files`."""
    if not files and pages is None:
        return []
    if question is None:
        raise BadInput(reason=Reason("cli.attached.needs_prompt"))
    return read_files(files, pages, out)


def filled(prompt: SavedPrompt, given: Sequence[str], text: str | None) -> str:
    """Return a stored prompt with its variables filled in: those given as NAME=VALUE, then the text.

    The text goes into the first variable that has no value, else below the prompt. Raises BadInput for a
    name that the prompt does not have, and for a variable that is left without a value.
    """
    from twokeys.core.prompts import fill, variables

    values: dict[str, str] = {}
    asked = variables(prompt.text)
    for pair in given:
        name, _, value = pair.partition("=")
        if name not in {variable.name for variable in asked}:
            names = ", ".join(variable.name for variable in asked) or "–"
            raise BadInput(reason=Reason("cli.prompts.no_variable", name=name, names=names))
        values[name] = clean(value)
    open_names = [v.name for v in asked if not values.get(v.name) and not v.default]
    if text and open_names:
        values[open_names.pop(0)] = text
        text = None
    if open_names:
        raise BadInput(reason=Reason("cli.prompts.missing", names=", ".join(open_names)))
    whole = fill(prompt.text, values)
    return f"{whole}\n\n{text}" if text else whole


def read_prompt(prompt: str | None, out: Output, *, go_on: bool, named: bool = False) -> str | None:
    """Return the prompt: the argument, or standard input for "-" and for a pipe. None: a person is there.

    named: a stored prompt is asked, which may need nothing more; a terminal is not read for it.
    """
    if named and prompt is None and sys.stdin.isatty():
        return None
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
    changes: Mapping[str, object],
    system: str | None,
    guard: str | None = None,
    prompt: SavedPrompt | None = None,
) -> Settings:
    """Return the conversation's settings (or the defaults) with the preset, what a stored prompt brings
    along, and the options applied.

    Raises NotFound for an unknown preset, BadParameter for a value out of range.
    """
    settings = conversation.settings if conversation else Settings()
    if preset is not None:
        settings = by_hand.choose_preset(settings, services.presets, preset)
    if prompt is not None:
        from twokeys.core.prompts import applied

        settings = applied(prompt, settings, services.presets)
    if changes:
        settings = by_hand.set_parameters(settings, services.presets, changes)
    if system is not None:
        changed = replace(settings, system_prompt=clean(system))
        settings = by_hand.drop_stale_preset(changed, services.presets)
    if guard is not None:
        settings = replace(settings, guard=guard_levels(guard))
    return settings


def choose_task(
    services: "Services", settings: Settings, name: str, text: str, material: int = 0
) -> Settings:
    """Return the settings with what a task sets, apart from what a person set by hand.

    "auto" lets the message itself say which task it is; unsure, nothing changes. material: tokens of the
    documents before it. Raises NotFound.
    """
    from twokeys.core.advice.advisor import task_named

    automatic = name == "auto"
    task = services.advice.classify(text, attached=material > 0).task if automatic else task_named(name)
    if task is None:
        return settings
    own = services.advice.changes_for(task, settings, text, material)
    chosen = settings.task if automatic else task.name
    changed = replace(settings, sampling=settings.sampling.with_(**own), task=chosen)
    return by_hand.drop_stale_preset(changed, services.presets)


def choose_drafts(services: "Services", settings: Settings, name: str) -> Settings:
    """Return the settings with speculative decoding as wanted; what cannot draft for the model is refused.

    Raises BadInput for a model of another vocabulary, NotFound or ModelMissing for one that is not here.
    """
    spec = services.engines.worker_spec()
    if spec is not None:
        services.memory.draft(spec.model_path, name)
    return replace(settings, draft=name)


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
    files: Sequence[FileRead] = (),
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
            if files and text is not None:
                with attached(services, conversation.id, files, text) as attachments:
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
    else:
        runner.say_validity(turn.message)
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
