"""`twokeys chat --file`: a document before the question, on the real engine."""

import base64
import hashlib
import json
from pathlib import Path

from commanding import Cli
from tests.documents.corpus import docx, pdf

QUESTION = "What is the delivery date in clause 7?"
SHORT = ("--max-new-tokens", "8", "--seed", "7")


def test_a_contract_stands_before_its_question_and_in_the_provenance(
    cli: Cli, smollm2: Path, tmp_path: Path
) -> None:
    file = tmp_path / "contract.docx"
    file.write_bytes(docx("en"))
    ran = cli.run("chat", QUESTION, "-m", smollm2, *SHORT, "--file", file, "--pages", "2", "--json")
    assert ran.code == 0, ran
    done = ran.lines[-1]
    [document] = done["documents"]
    assert (document["name"], document["pages"]) == ("contract.docx", "2")
    assert document["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert 20 < document["tokens"] < done["usage"]["prompt_tokens"]
    exported = json.loads(cli.run("conversations", "export", done["conversation"], "--json").out)
    [conversation] = exported["conversations"]
    question, answer = conversation["messages"]
    assert question["content"].startswith('<document name="contract.docx">\n## 7 Delivery\n')
    assert question["content"].endswith(f"</document>\n\n{QUESTION}")
    assert "15 March 2027" in question["content"] and "Disputes" not in question["content"]
    assert answer["provenance"]["documents"] == question["provenance"]["documents"] == [document]
    assert conversation["title"].startswith("What is the delivery")
    [retained] = conversation["files"]
    assert (retained["sha256"], base64.b64decode(retained["data"])) == (document["sha256"], file.read_bytes())
    second = cli.run("chat", "And who pays?", "-m", smollm2, *SHORT, "-c", done["conversation"], "--json")
    assert second.lines[-1]["documents"] == [document], "it is read with the second question too"


def test_what_does_not_fit_is_not_sent_and_every_page_is_priced(
    cli: Cli, smollm2: Path, tmp_path: Path
) -> None:
    file = tmp_path / "long.pdf"
    file.write_bytes(pdf("en", pages=80))
    ran = cli.run("chat", QUESTION, "-m", smollm2, *SHORT, "--file", file, "--json")
    assert ran.code == 1, ran
    assert "nothing was sent" in ran.err and "--pages 3-7" in ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("  ")]
    rows = [line.split() for line in lines]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 81)]
    assert all(int(row[1]) > 50 for row in rows)
    assert cli.run("conversations", "list", "--json").json == []


def test_a_file_that_cannot_be_read_ends_before_a_model_is_loaded(cli: Cli, tmp_path: Path) -> None:
    ran = cli.run("chat", QUESTION, "--file", tmp_path, "--json")
    assert ran.code == 2
    assert "--file A --file B" in ran.err
    beyond = tmp_path / "a.md"
    beyond.write_text("# One\n\ntext")
    assert "no_such_pages" not in (ran := cli.run("chat", QUESTION, "--file", beyond, "--pages", "2")).out
    assert (ran.code, "it has 1 part." in ran.err) == (2, True), ran
