"""`twokeys write` as scripts use it: the contract of its JSON, exports, a kill in the middle, refusals."""

import zipfile
from pathlib import Path

import pytest
from commanding import Cli

from twokeys.cli.output import Output
from twokeys.cli.write import answer_of, section_row, tell_section
from twokeys.config import load_config
from twokeys.core.writer.project import Project
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.services import build_services

SAID = "Water for green tea is best when it has just stopped boiling. "


@pytest.fixture
def project(home: Path) -> str:
    """A small English project with the usual outline, not yet written."""
    services = build_services(load_config(), engine=ScriptedEngine())
    made = services.writer.new(Project("How to make tea", kind="essay", language="en", length=150))
    services.writer.use_rules(made)
    services.close()
    return made


def test_a_section_tells_what_the_guard_noticed(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    drifted = f"{SAID}Чай нужно пить горячим и не спеша, говорят старые люди. " * 2
    services = build_services(load_config(), engine=ScriptedEngine([Say(drifted)]))
    services.writer.start(project)
    view = services.writer.wait(project, 30)
    section = view.sections[0]
    answer = answer_of(services, section)
    row = section_row(section, answer)
    assert "drift" in [event["kind"] for event in row["guard"]]
    tell_section(Output("en"), view, row, answer)
    text = " ".join(capsys.readouterr().err.split())
    assert "Guard: The answer left the question's language. There is Cyrillic" in text
    services.close()


@pytest.mark.slow
def test_a_text_is_written_and_exported_by_the_contract(
    cli: Cli, project: str, smollm2: Path, tmp_path: Path
) -> None:
    ended = cli.run("write", "resume", project, "--json", "-m", smollm2)
    assert ended.code == 0, ended.err
    shown = ended.lines[-1]
    assert shown["id"] == project and shown["state"] == "done"
    assert {"id", "sections", "chars", "state"} <= set(shown)
    assert 0 < shown["budget"]["largest_prompt"] <= shown["budget"]["prompt"]
    assert [line["id"] for line in ended.lines[:-1]] == [section["id"] for section in shown["sections"]]
    assert shown["sections"][1]["cached_tokens"] > 40
    for kind in ("md", "docx", "html", "txt"):
        target = tmp_path / f"tea.{kind}"
        made = cli.run("write", "export", project[:-2], "-o", target, "--json")
        assert made.json["format"] == kind
    assert zipfile.is_zipfile(tmp_path / "tea.docx")
    assert "How to make tea" in (tmp_path / "tea.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_resume_mends_short_sections_when_asked_and_show_tells_what_is_wrong(
    cli: Cli, project: str, smollm2: Path
) -> None:
    services = build_services(load_config(), engine=ScriptedEngine())
    first, second = services.writer.view(project).sections
    services.writer.edit(project, first.node.id, SAID * 10)
    services.writer.edit(project, second.node.id, SAID)
    services.close()
    shown = cli.run("write", "show", project)
    assert f"in {second.number}, said before in {first.number}: {SAID.strip()}" in shown.out
    assert f"write resume {project} --fix" in " ".join(shown.err.split())
    repeated = cli.run("write", "show", project, "--json").json["repeated"]
    [result] = [entry for entry in repeated if entry["section"] == second.number]
    assert (result["before"], result["text"]) == (first.number, SAID.strip())
    mended = cli.run("write", "resume", project, "--fix", "--json", "-m", smollm2)
    assert mended.lines[-1]["sections"][1]["versions"] == 2


def test_projects_are_listed_shown_and_deleted(cli: Cli, project: str) -> None:
    [row] = cli.run("write", "list", "--json").json
    assert (row["id"], row["done"]) == (project, 0)
    shown = cli.run("write", "show", project, "--json").json
    assert shown["state"] == "ready"
    assert cli.run("write", "show", project, language="zh").out.count("\n") == 3
    removed = cli.run("write", "rm", project, "--json").json
    assert cli.run("write", "list", "--json").json == []
    assert cli.run("conversations", "undo", removed["undo"]).code == 0
    assert cli.run("write", "rm", project, "--now", "--json").json["removed"]
    assert cli.run("write", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["new", "Tea", "--kind", "poem"], "bad_parameter"),
        (["new", "Tea", "--chars", "3"], "bad_parameter"),
        (["new", " "], "empty_message"),
        (["new", "Tea", "--chars", "6000", "--words", "1000"], "bad_input"),
        (["new", "Tea", "--notes", "nothing.docx"], "bad_document"),
        (["resume", "nothing"], "not_found"),
        (["export", "nothing", "-f", "docx"], "bad_input"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(cli: Cli, arguments: list[str], code: str) -> None:
    ran = cli.run("write", *arguments, "--json")
    assert ran.code != 0
    assert ran.lines[-1]["error"]["code"] == code
    assert ran.err.strip()
