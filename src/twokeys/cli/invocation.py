"""One run of the command: its language, its switches and the services it opens.

The services are built only by the commands that need them, so `--help` never pays for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from twokeys.cli.output import Output
from twokeys.config import Config, load_config, prepare_home
from twokeys.errors import StoreCorrupt, StoreError, StoreLocked, StoreNewer

if TYPE_CHECKING:
    from twokeys.services import Services
    from twokeys.store.repository import Repository

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME|PATH|URL", help="option.model", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="option.json")]


@dataclass(frozen=True, slots=True)
class Globals:
    """What stands before the command: `twokeys --lang zh --json models list`."""

    language: str
    model: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command about to run."""

    out: Output
    model: str | None

    @classmethod
    def of(cls, context: typer.Context, model: str | None, as_json: bool) -> "Invocation":
        """Join the options before the command with those after it; the latter win."""
        before: Globals = context.find_root().obj
        out = Output(before.language, as_json=as_json or before.as_json)
        return cls(out=out, model=model or before.model)

    def config(self) -> Config:
        """Read the surroundings; nothing is created."""
        return load_config(model=self.model)

    @contextmanager
    def repository(self) -> Iterator["Repository"]:
        """Open the store alone: for commands that only read or write what is kept."""
        from twokeys.store.repository import Repository

        config = self.config()
        prepare_home(config)
        repository = Repository.open(config)
        try:
            yield repository
        finally:
            repository.close()

    @contextmanager
    def reading(self) -> Iterator["Repository"]:
        """Open the store to read; on a full disk or in a read-only folder without writing anything."""
        from twokeys.store.repository import Repository

        config = self.config()
        try:
            prepare_home(config)
            repository = Repository.open(config)
        except (StoreCorrupt, StoreNewer, StoreLocked):
            raise
        except StoreError as error:
            try:
                repository = Repository.open_for_reading(config)
            except StoreError:
                raise error from None
            reason = error.message(self.out.language)
            self.out.note(self.out.text("conversations.reading_only", reason=reason), "yellow")
        try:
            yield repository
        finally:
            repository.close()

    @contextmanager
    def services(self) -> Iterator["Services"]:
        """Open the store, the engine host and the job manager, and close them at the end."""
        from twokeys.services import build_services

        services = build_services(self.config())
        services.recovery.leave_to_caller()  # `--recover` has the say here, not the memory page
        try:
            yield services
        finally:
            services.close()
