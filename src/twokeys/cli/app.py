"""The tree of commands, and its help in the reader's language.

Help texts in the command modules are keys of `i18n/texts/cli.toml` under `help.`; they are
replaced here once the tree is built. A later command is one `add` line and its module.
"""

from typing import Annotated, Any

import typer

from twokeys import __version__
from twokeys.cli.invocation import Globals
from twokeys.i18n import LANGUAGES, translate

ORDER = (
    "ui",
    "chat",
    "compare",
    "presets",
    "models",
    "conversations",
    "plan",
    "bench",
    "study",
    "write",
    "serve",
    "keys",
    "release",
    "doctor",
)
"""The commands as --help lists them."""


def build_command(language: str, *, with_help: bool = True) -> Any:
    """Return the whole command line as one runnable command, its help in `language`.

    with_help False leaves the headings of help pages alone: loading what draws them takes a while.
    """
    from twokeys.cli import (
        bench,
        chat,
        compare,
        conversations,
        doctor,
        keys,
        models,
        plan,
        presets,
        release,
        serve,
        study,
        ui,
        write,
    )

    app = typer.Typer(
        help="twokeys",
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        rich_markup_mode="rich",
    )
    app.callback()(_globals)
    app.command("ui", help="ui.about")(ui.ui)
    app.command("chat", help="chat.about")(chat.chat)
    app.command("compare", help="compare.about")(compare.compare)
    app.command("presets", help="presets.about")(presets.presets)
    app.add_typer(models.app, name="models", help="models.about")
    app.add_typer(conversations.app, name="conversations", help="conversations.about")
    app.command("plan", help="plan.about")(plan.plan)
    app.command("bench", help="bench.about")(bench.bench)
    app.add_typer(study.app, name="study", help="study.about")
    app.add_typer(write.app, name="write", help="write.about")
    app.command("serve", help="serve.about")(serve.serve)
    app.add_typer(keys.app, name="keys", help="keys.about")
    app.command("release", help="release.about")(release.release)
    app.command("doctor", help="doctor.about")(doctor.doctor)
    command: Any = typer.main.get_command(app)
    command.commands = {name: command.commands[name] for name in ORDER}
    _localise(command, language)
    if with_help:
        _localise_panels(language)
    return command


def _globals(
    context: typer.Context,
    lang: Annotated[
        str, typer.Option("--lang", metavar="zh|en", help="option.lang", show_default=False)
    ] = "",
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME|PATH|URL", help="option.model")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="option.json")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="option.version", callback=lambda on: _print_version(on), is_eager=True
        ),
    ] = False,
) -> None:
    from twokeys.cli import language_of

    if lang and lang not in LANGUAGES:
        raise typer.BadParameter("zh | en", param_hint="--lang")
    import os

    language = lang or language_of([], os.environ)
    context.obj = Globals(language=language, model=model, as_json=as_json)


def _print_version(on: bool) -> None:
    if on:
        typer.echo(f"twokeys {__version__}")
        raise typer.Exit()


def _localise(command: Any, language: str, parent: Any = None) -> None:
    command.help = _help(command.help, language)
    context = command.make_context(command.name, [], parent=parent, resilient_parsing=True)
    command.get_help_option(context).help = translate("cli.help.option.help", language)
    command.get_help_option(context).metavar = ""
    for parameter in command.params:
        parameter.help = _help(_own_key(parameter), language)
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""  # a switch takes no value, so it needs no type beside it
    for child in getattr(command, "commands", {}).values():
        _localise(child, language, context)


def _help(key: str | None, language: str) -> str | None:
    return translate(f"cli.help.{key}", language) if key else key


def _own_key(parameter: Any) -> str | None:
    """The parser's own options come with English texts; ours have keys."""
    own = {"install_completion": "option.install_completion", "show_completion": "option.show_completion"}
    return own.get(parameter.name) or getattr(parameter, "help", None)


def _localise_panels(language: str) -> None:
    from typer import rich_utils

    for constant, key in (
        ("ARGUMENTS_PANEL_TITLE", "panel.arguments"),
        ("OPTIONS_PANEL_TITLE", "panel.options"),
        ("COMMANDS_PANEL_TITLE", "panel.commands"),
        ("DEFAULT_STRING", "panel.default"),
        ("REQUIRED_LONG_STRING", "panel.required"),
    ):
        setattr(rich_utils, constant, translate(f"cli.help.{key}", language, value="{}"))
