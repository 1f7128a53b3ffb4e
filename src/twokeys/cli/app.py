"""The tree of commands, and its help in the reader's language.

Help texts in the command modules are keys of `i18n/texts/cli.toml` under `help.`; they are
replaced here once the tree is built. A later command is one `add` line and its module.
"""

from importlib import import_module
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
    "prompts",
    "models",
    "engine",
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


GROUPS = frozenset({"models", "engine", "conversations", "study", "write", "keys"})
"""Those that have commands of their own."""


def build_command(language: str, *, with_help: bool = True, only: str | None = None) -> Any:
    """Return the whole command line as one runnable command, its help in `language`.

    with_help False leaves the headings of help pages alone: loading what draws them takes a while. only: the
    one command that is going to run; the modules of the others are not loaded.
    """
    app = typer.Typer(
        help="twokeys",
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        rich_markup_mode="rich",
    )
    app.callback()(_globals)
    names = ORDER if only is None else (only,)
    for name in names:
        module = import_module(f"twokeys.cli.{name}")
        if name in GROUPS:
            app.add_typer(module.app, name=name, help=f"{name}.about")
        else:
            app.command(name, help=f"{name}.about")(getattr(module, name))
    command: Any = typer.main.get_command(app)
    command.commands = {name: command.commands[name] for name in names}
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
