"""The interactive session of `twokeys chat`: a prompt, slash commands, answers drawn as they come.

Ctrl-C stops the answer, not the program; Ctrl-D leaves. The conversation is stored from its first
message on, like the browser's. Services do the work; this module only asks and shows.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from rich.markup import escape
from rich.table import Table

from twokeys.cli.failures import EXIT_FAILED, stored_error
from twokeys.cli.forms import asked_form
from twokeys.cli.output import Output, clean
from twokeys.cli.recover import Mode, recover_turn
from twokeys.cli.slash import COMMANDS, SlashCommand, SlashCompleter, read_number, read_slash
from twokeys.cli.turn import ShownAnswer, TurnRunner
from twokeys.core import by_hand
from twokeys.core.guard import LEVELS, GuardSettings
from twokeys.core.provenance import cut_loop
from twokeys.errors import BadInput, ModelMissing, Reason, TwoKeysError
from twokeys.types import BOUNDS, CUT_REASONS, PARAMETERS, AnswerSchema, Conversation, Message, Settings
from twokeys.units import bytes_text

if TYPE_CHECKING:
    from twokeys.core.answers import Sent
    from twokeys.services import Services

HISTORY_FILE = "chat_history"
RECENT = 20

STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold",
        "continuation": "ansibrightblack",
        "bottom-toolbar": "noreverse ansibrightblack",
        "bottom-toolbar.strong": "noreverse ansicyan",
        "completion-menu": "bg:default",
        "completion-menu.completion": "bg:default fg:ansicyan",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
        "completion-menu.meta.completion.current": "reverse",
        "auto-suggestion": "ansibrightblack",
    }
)


class Leave(Exception):
    """Raised by /quit to end the session."""


class Session:
    """One interactive session; `run` returns the exit code."""

    def __init__(
        self,
        services: "Services",
        out: Output,
        conversation: Conversation | None,
        settings: Settings,
        *,
        recover: Mode = "ask",
    ) -> None:
        """recover: what to do when memory runs out in an answer."""
        self._services = services
        self._recover: Mode = recover
        self._out = out
        self._conversation_id = conversation.id if conversation else None
        self._settings = settings
        self._undo_tokens: list[str] = []
        self._draft = ""
        self._runner = TurnRunner(services, out, drawn=not out.console.is_dumb_terminal)
        self._prompt = self._make_prompt(services.config.home)
        self._actions: Mapping[str, Callable[[str], None]] = {
            "help": self._help,
            "new": self._new,
            "temperature": self._temperature,
            "length": self._length,
            "preset": self._preset,
            "system": self._system,
            "json": self._json,
            "table": self._table,
            "set": self._set,
            "settings": self._show_settings,
            "regenerate": self._regenerate,
            "continue": self._continue,
            "differently": self._differently,
            "guard": self._guard,
            "undo": self._undo,
            "redo": self._redo,
            "shorten": self._shorten,
            "clear": self._clear,
            "list": self._list,
            "open": self._open,
            "export": self._export,
            "quit": self._quit,
        }

    def run(self) -> int:
        """Talk until the person leaves."""
        if not self._have_model():
            return EXIT_FAILED
        self._greet()
        if self._conversation_id is not None:
            self._services.conversations.set_settings(self._conversation_id, self._settings)
            self._show_last(self._conversation_id)
        while True:
            draft, self._draft = self._draft, ""
            try:
                line = clean(self._prompt.prompt(default=draft))
            except KeyboardInterrupt:
                self._say("session.ctrl_c")
                continue
            except EOFError:
                break
            try:
                self._handle(line)
            except Leave:
                break
            except KeyboardInterrupt:
                self._say("session.stopped")
            except TwoKeysError as error:
                self._out.error(error.to_dict(self._out.language))
        self._say("session.bye")
        return 0

    def _have_model(self) -> bool:
        """Whether a model is there, or was fetched just now because the person said yes."""
        from twokeys.engine_source import MODEL_SETTING

        models, remembered = self._services.models, self._services.repository.get_setting(MODEL_SETTING)
        if self._services.config.model or remembered or any(entry.installed for entry in models.list()):
            return True
        smallest = models.smallest_reachable()
        if smallest is None:
            raise ModelMissing(name="qwen2.5-7b")
        size = bytes_text(smallest.bytes)
        try:
            answer = input(self._out.text("chat.no_model", name=smallest.name, size=size))
        except EOFError:
            answer = "n"
        if answer.strip().lower() not in ("", "y", "yes", "是", "好"):
            raise ModelMissing(name=smallest.name)
        from twokeys.cli.models import fetch

        self._services.adopt_best_build()  # in the background: used once it is proven
        return fetch(models, models.info(smallest.name), self._out)

    # ---- what was typed ---------------------------------------------------------------------

    def _handle(self, line: str) -> None:
        command = read_slash(line)
        if command is not None:
            self._run_command(command)
        elif line.strip():
            self._send(line)

    def _run_command(self, command: SlashCommand) -> None:
        if command.name is None:
            key = "session.unknown_near" if command.near else "session.unknown"
            self._say(key, style="yellow", typed=command.typed, near=command.near)
            return
        self._actions[command.name](command.argument)

    def _send(self, text: str, schema: AnswerSchema | None = None) -> None:
        """schema: the form of this message's answers alone."""
        conversation_id = self._ensure_conversation()
        self._undo_tokens.clear()
        self._ask(lambda: self._services.answers.send(conversation_id, text, answer_schema=schema))

    def _ask(self, ask: "Callable[[], Sent]", before: str = "") -> None:
        """Start an answer, show it and say below it what came of it."""
        with self._runner.follow(self._ensure_conversation()) as follower:
            turn = self._runner.show(ask(), follower, before=before)
            turn = recover_turn(self._services, self._out, self._runner, follower, turn, self._recover)
        self._after(turn)

    def _after(self, turn: ShownAnswer) -> None:
        if turn.message.error is not None:
            self._out.error(stored_error(turn.message.error, self._out.language))
        self._runner.say_footer(turn, how_to_continue="/continue")
        self._out.errors.print()

    # ---- slash commands ---------------------------------------------------------------------

    def _help(self, argument: str) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, shape in COMMANDS.items():
            table.add_row(escape(f"/{name} {shape}".rstrip()), escape(self._about(name)))
        self._out.console.print(table)
        self._say("session.keys")

    def _new(self, argument: str) -> None:
        self._conversation_id = None
        self._undo_tokens.clear()
        self._say("session.new")

    def _temperature(self, argument: str) -> None:
        self._change_number("temperature", argument)

    def _length(self, argument: str) -> None:
        self._change_number("max_new_tokens", argument)

    def _set(self, argument: str) -> None:
        name, _, value = argument.replace("=", " ").partition(" ")
        if not name:
            self._show_settings("")
            return
        self._change_number(name, value.strip())

    def _change_number(self, name: str, value: str) -> None:
        sampling = self._settings.sampling
        if not value and name in BOUNDS:
            bounds = BOUNDS[name]
            current = getattr(sampling, name)
            self._say(
                "session.value", name=name, value=current, low=f"{bounds.low:g}", high=f"{bounds.high:g}"
            )
            return
        changed: Any = read_number(value)
        if name == "stop":
            changed = [part for part in value.split("|") if part]
        self._apply(by_hand.set_parameters(self._settings, self._services.presets, {name: changed}))
        self._say("session.changed", name=name, value=getattr(self._settings.sampling, name))

    def _preset(self, argument: str) -> None:
        if not argument:
            from twokeys.cli.presets import presets_table

            self._out.console.print(presets_table(self._services, self._out))
            return
        self._apply(by_hand.choose_preset(self._settings, self._services.presets, argument))
        sampling = self._settings.sampling
        self._say(
            "session.preset", name=argument, temperature=sampling.temperature, length=sampling.max_new_tokens
        )

    def _system(self, argument: str) -> None:
        if not argument:
            current = self._settings.system_prompt
            self._say("session.system" if current else "session.system_none", text=current)
            return
        text = "" if argument == "-" else argument
        changed = replace(self._settings, system_prompt=text)
        self._apply(by_hand.drop_stale_preset(changed, self._services.presets))
        self._say("session.system" if text else "session.system_none", text=text)

    def _json(self, argument: str) -> None:
        file, _, question = argument.partition("\n")
        self._take_form(asked_form(file.strip()), question)

    def _table(self, argument: str) -> None:
        from twokeys.core.structured.columns import table_from_text
        from twokeys.core.structured.command import NO_FORM

        columns, _, question = argument.partition("\n")
        if columns:
            self._take_form(None if columns.strip() in NO_FORM else table_from_text(columns), question)
            return
        schema = self._settings.answer_schema
        self._say("session.form" if schema else "session.form_none", name=schema and schema.name)

    def _take_form(self, schema: AnswerSchema | None, question: str = "") -> None:
        """Ask for every answer in this form from now on, None: in none; or for those of a question alone."""
        if question.strip() and schema is not None:
            self._send(question.strip(), schema)
            return
        changed = replace(self._settings, answer_schema=schema)
        self._apply(by_hand.drop_stale_preset(changed, self._services.presets))
        self._say("session.form" if schema else "session.form_none", name=schema and schema.name)

    def _show_settings(self, argument: str) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="cyan")
        table.add_column()
        for name, value in self._settings.sampling.to_dict().items():
            table.add_row(name, escape(str("–" if value in (None, []) else value)))
        table.add_row("system", escape(self._settings.system_prompt or "–"))
        schema = self._settings.answer_schema
        table.add_row("schema", escape(schema.name if schema else "–"))
        self._out.console.print(table)

    def _regenerate(self, argument: str) -> None:
        answer = self._last_answer()
        self._ask(lambda: self._services.answers.regenerate(answer.id))

    def _continue(self, argument: str) -> None:
        answer = self._last_answer()
        if answer.finish_reason not in CUT_REASONS:
            self._say("session.complete")
            return
        self._ask(lambda: self._services.answers.continue_(answer.id), before=answer.content)

    def _differently(self, argument: str) -> None:
        answer = self._last_answer()
        beginning = cut_loop(answer).content
        self._ask(lambda: self._services.answers.continue_differently(answer.id), before=beginning)

    def _guard(self, argument: str) -> None:
        from twokeys.cli.chat import guard_levels

        if argument:
            self._apply(replace(self._settings, guard=guard_levels(argument)))
        levels = GuardSettings.from_dict(self._settings.guard).to_dict()
        self._say("session.guard", levels=" · ".join(f"{name} {level}" for name, level in levels.items()))

    def _undo(self, argument: str) -> None:
        """Take back the last question with its answer; the question returns to the prompt."""
        branch = self._branch()
        question = next((m for m in reversed(branch) if m.role == "user"), None)
        if question is None:
            raise BadInput(reason=Reason("cli.session.nothing_to_undo"))
        self._undo_tokens.append(self._services.conversations.delete_message(question.id))
        self._draft = question.content
        self._say("session.undone")

    def _redo(self, argument: str) -> None:
        if not self._undo_tokens:
            raise BadInput(reason=Reason("cli.session.nothing_to_redo"))
        self._services.conversations.undo(self._undo_tokens.pop())
        self._say("session.redone")

    def _shorten(self, argument: str) -> None:
        from twokeys.cli.shorten import shorten_history

        shorten_history(self._services, self._out, self._conversation_id, argument)

    def _clear(self, argument: str) -> None:
        from twokeys.cli.release import release_sentence

        report = self._services.force_clear.release(self._conversation_id, keep_history=False)
        self._out.note(release_sentence(report, self._out))

    def _list(self, argument: str) -> None:
        from twokeys.cli.conversations import conversations_table

        self._out.console.print(conversations_table(self._services.repository, self._out, RECENT))

    def _open(self, argument: str) -> None:
        if not argument:
            self._list("")
            return
        from twokeys.cli.conversations import find_conversation

        conversation = find_conversation(self._services.repository, argument)
        self._conversation_id, self._settings = conversation.id, conversation.settings
        self._undo_tokens.clear()
        self._say("session.opened", title=conversation.title)
        self._show_last(conversation.id)

    def _export(self, argument: str) -> None:
        from twokeys.cli.conversations import export_bytes, export_kind
        from twokeys.cli.exports import write_new_file

        if self._conversation_id is None:
            raise BadInput(reason=Reason("cli.session.nothing_to_export"))
        path = Path(argument or f"twokeys-{self._conversation_id}.md").expanduser()
        repository = self._services.repository
        conversation = repository.get_conversation(self._conversation_id)
        kind = export_kind(None, path, as_json=False)
        write_new_file(path, export_bytes(repository, conversation, kind, self._out.language))
        self._say("session.exported", path=path)

    def _quit(self, argument: str) -> None:
        raise Leave

    # ---- the conversation -------------------------------------------------------------------

    def _ensure_conversation(self) -> str:
        if self._conversation_id is None:
            self._conversation_id = self._services.conversations.new(self._settings).id
        return self._conversation_id

    def _apply(self, settings: Settings) -> None:
        if self._conversation_id is not None:
            self._services.conversations.set_settings(self._conversation_id, settings)
        self._settings = settings

    def _branch(self) -> list[Message]:
        if self._conversation_id is None:
            return []
        return self._services.conversations.messages(self._conversation_id)

    def _last_answer(self) -> Message:
        branch = self._branch()
        if not branch or branch[-1].role != "assistant":
            raise BadInput(reason=Reason("cli.session.no_answer"))
        return branch[-1]

    def _show_last(self, conversation_id: str) -> None:
        """Show the last exchange of a conversation that is opened again."""
        from twokeys.cli.render import AnswerMarkdown, visible

        branch = self._services.conversations.messages(conversation_id, limit=2)
        for message in branch:
            if message.role == "user":
                self._out.console.print(f"› {visible(message.content)}", style="cyan", markup=False)
            else:
                text = visible(message.content)
                form = message.provenance.answer_schema is not None
                self._out.console.print(text if form else AnswerMarkdown(text), markup=False)
        if branch:
            self._out.console.print()

    # ---- the prompt -------------------------------------------------------------------------

    def _make_prompt(self, home: Path) -> "PromptSession[str]":
        return PromptSession(
            history=_private_history(home / HISTORY_FILE),
            auto_suggest=AutoSuggestFromHistory(),
            completer=SlashCompleter(
                self._about,
                {
                    "preset": self._preset_choices,
                    "guard": lambda: [(level, "") for level in LEVELS],
                    "json": lambda: [("off", "")],
                    "table": lambda: [("off", "")],
                    "open": self._conversation_choices,
                    "set": lambda: [(f"{name} ", "") for name in PARAMETERS],
                    "temperature": lambda: [
                        (value, "") for value in ("0.1", "0.3", "0.5", "0.7", "0.9", "1.0")
                    ],
                    "length": lambda: [(value, "") for value in ("512", "1024", "2048", "3072", "3584")],
                },
            ),
            complete_while_typing=True,
            complete_in_thread=False,
            key_bindings=_key_bindings(),
            message=[("class:prompt", "› ")],
            prompt_continuation=FormattedText([("class:continuation", "· ")]),
            bottom_toolbar=self._toolbar,
            placeholder=FormattedText([("class:auto-suggestion", self._out.text("session.placeholder"))]),
            style=STYLE,
            multiline=True,
            reserve_space_for_menu=6,
            enable_open_in_editor=True,
        )

    def _toolbar(self) -> FormattedText:
        sampling = self._settings.sampling
        parts = [
            self._model_name(),
            f"{self._out.text('session.bar_temperature')} {sampling.temperature:g}",
            f"{self._out.text('session.bar_length')} {sampling.max_new_tokens}",
        ]
        if self._settings.preset:
            parts.append(self._settings.preset)
        if self._settings.answer_schema:
            parts.append(self._settings.answer_schema.name)
        return FormattedText([("", "  ".join(["", " · ".join(parts), self._out.text("session.bar_keys")]))])

    def _model_name(self) -> str:
        return self._services.engines.name or "–"

    def _preset_choices(self) -> Iterable[tuple[str, str]]:
        from twokeys.cli.presets import preset_label

        return [
            (preset.name, preset_label(self._services, preset, self._out.language))
            for preset in self._services.presets.list()
        ]

    def _conversation_choices(self) -> Iterable[tuple[str, str]]:
        return [(c.id, c.title) for c in self._services.conversations.latest(limit=RECENT)]

    def _about(self, name: str) -> str:
        return self._out.text(f"slash.{name}")

    def _greet(self) -> None:
        from twokeys.cli.chat import model_line

        name = self._services.engines.name
        said = model_line(name, self._out) if name else ""
        self._out.console.print(f"[bold cyan]TwoKeys[/]  [dim]{escape(said)}[/]")
        self._say("session.welcome")

    def _say(self, key: str, /, style: str = "dim", **values: object) -> None:
        self._out.note(self._out.text(key, **values), style)


def _private_history(path: Path) -> FileHistory:
    """The questions asked here are for their owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    if os.name == "posix":
        path.chmod(0o600)
    return FileHistory(str(path))


def _key_bindings() -> KeyBindings:
    """Enter sends, Alt+Enter begins a new line; pasted line ends stay line ends.

    An Enter typed while an answer was written arrives as Ctrl-J and sends, too.
    """
    bindings = KeyBindings()

    @bindings.add("enter")
    @bindings.add("c-j")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.apply_completion(buffer.complete_state.current_completion)
            return
        buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
