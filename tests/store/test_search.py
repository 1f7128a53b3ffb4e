from dataclasses import replace

import pytest

from twokeys.config import Config
from twokeys.store import search
from twokeys.store.repository import Repository
from twokeys.types import Provenance, SearchFilter

from .making import Maker, message

TEXT = "显存就像办公桌，梯度消失让网络学不动。Use max_new_tokens and Qwen2.5-7B for the Café, naïve ＡＢＣ."


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("显存", ["显存"]),
        ("桌", ["桌"]),
        ("梯度消失", ["梯度消失"]),
        ("度消", ["度消"]),
        ("动", ["动"]),
        ("显存 网络", ["显存", "网络"]),
        ("网络 显存", ["显存", "网络"]),
        ("tok", ["tok"]),
        ("max_new_tok", ["max_new_tok"]),
        ("qwen2.5", ["Qwen2.5"]),
        ("QWEN", ["Qwen"]),
        ("cafe", ["Café"]),
        ("NAIVE", ["naïve"]),
        ("abc", ["ＡＢＣ"]),
        ('"new tokens and"', ["new_tokens and"]),
        ("动Use", ["动。Use"]),
        ("显存 qwen2", ["显存", "Qwen2"]),
    ],
)
def test_words_are_found_and_marked(
    repository: Repository, make: Maker, query: str, marked: list[str]
) -> None:
    make.talk(TEXT)
    hits = repository.search(query)
    assert [[hit.snippet[a:b] for a, b in hit.highlights] for hit in hits] == [marked]


@pytest.mark.parametrize(
    "query", ["存显", "桌梯", "梯度网络", "kens", '"qwe"', "显存 飞机", "消失的", "", "   ", "飞"]
)
def test_what_is_not_there_is_not_found(repository: Repository, make: Maker, query: str) -> None:
    make.talk(TEXT)
    assert repository.search(query) == []


@pytest.mark.parametrize(
    "query", ['"', '""', "NEAR(", "a AND", "col:x", "*", "^", "-", "\x00", "(((", "'", "\ud800", "🎈" * 300]
)
def test_no_query_breaks_the_search(repository: Repository, make: Maker, query: str) -> None:
    make.talk("something else")
    repository.search(query)


def test_signs_and_emoji_are_found_in_recent_messages(repository: Repository, make: Maker) -> None:
    _, (question,) = make.talk("生日快乐 🎂")
    assert [hit.message_id for hit in repository.search("🎂")] == [question.id]


def test_titles_come_first_and_rarer_matches_before_common_ones(repository: Repository, make: Maker) -> None:
    long_one, _ = make.talk("红烧肉 " + "别的事情 " * 200, title="菜谱")
    short_one, _ = make.talk("红烧肉怎么做")
    titled, _ = make.talk("今天吃什么", title="红烧肉")
    hits = repository.search("红烧肉")
    assert [hit.conversation_id for hit in hits] == [titled.id, short_one.id, long_one.id]
    assert hits[0].message_id is None and hits[0].role is None
    assert hits[1].role == "user" and hits[1].score > hits[2].score


def test_titles_do_not_crowd_out_messages(repository: Repository, make: Maker) -> None:
    for _ in range(12):
        make.talk("红烧肉怎么做", title="红烧肉")
    hits = repository.search("红烧肉", limit=9)
    assert [hit.message_id is None for hit in hits] == [True] * 3 + [False] * 6
    assert len(repository.search("红烧肉", limit=24)) == 24


def test_a_renamed_conversation_is_found_by_its_new_title_only(repository: Repository, make: Maker) -> None:
    conversation = make.conversation("旧标题")
    repository.update_conversation(conversation.id, title="新名称")
    assert repository.search("旧标题") == []
    assert [hit.conversation_id for hit in repository.search("名称")] == [conversation.id]


def test_a_snippet_of_a_long_text_shows_the_match(repository: Repository, make: Maker) -> None:
    make.talk("前文\n" * 3000 + "关键琥珀词" + "后文\n" * 3000)
    (hit,) = repository.search("琥珀")
    assert len(hit.snippet) < 200 and hit.snippet.startswith("…") and hit.snippet.endswith("…")
    assert [hit.snippet[a:b] for a, b in hit.highlights] == ["琥珀"]
    assert "\n" not in hit.snippet


def test_of_a_pasted_book_the_beginning_is_found_and_changing_it_leaves_no_trace(
    repository: Repository, make: Maker
) -> None:
    _, (book,) = make.talk("开头琥珀 " + "page " * (search.INDEXED_CHARS // 5) + "结尾翡翠")
    assert len(repository.search("琥珀")) == 1 and repository.search("翡翠") == []
    repository.update_message(book.id, content="新")
    assert repository.search("琥珀") == [] and repository.search("page") == []


def test_an_answer_being_written_is_found_once_it_is_finished(repository: Repository, make: Maker) -> None:
    conversation = make.conversation()
    answer = make.begin(conversation.id)
    repository.append(answer.id, "琥珀")
    assert repository.search("琥珀") == []
    repository.finish(replace(answer, content="琥珀", state="done", finish_reason="stop"))
    assert len(repository.search("琥珀")) == 1


def test_a_change_of_the_splitting_builds_the_index_anew(
    repository: Repository, make: Maker, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.talk("琥珀", title="标题")
    monkeypatch.setattr(search, "VERSION", search.VERSION + 1)
    again = Repository.open(config)
    assert len(again.search("琥珀")) == 1 and len(again.search("标题")) == 1
    again.update_message(again.search("琥珀")[0].message_id or "", content="翡翠")
    assert again.search("琥珀") == []
    again.close()


def test_search_finds_the_few_and_the_many_among_20000_messages(repository: Repository, make: Maker) -> None:
    conversation = make.conversation()
    texts = [
        f"第 {n} 条 关于温度和长度的讨论 temperature" + (" 琥珀" if n % 1000 == 0 else "")
        for n in range(20_000)
    ]
    repository.add_messages([message(conversation.id, None, "user", text) for text in texts])
    for query, result in (("琥珀", 20), ("温度", 30), ("度", 30), ("temp", 30)):
        assert len(repository.search(query)) == result


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("C++", ["Templates in C++11 are compiled.", "C++ has templates."]),
        ("c++ templates", ["Templates in C++11 are compiled.", "C++ has templates."]),
        (".NET", ["The .NET runtime."]),
        (".net", ["The .NET runtime."]),
        ("#include", ["#include <vector>"]),
        ("C#", ["C# and F#"]),
        ("--help", ["Run it with --help"]),
        ("$HOME", ["cd $HOME/bin"]),
        ('"C++ has"', ["C++ has templates."]),
        ("templates.", ["Templates in C++11 are compiled.", "C++ has templates."]),
        ("(runtime)", ["The .NET runtime."]),
        ("Ｃ＋＋", ["Templates in C++11 are compiled.", "C++ has templates."]),
    ],
)
def test_signs_that_belong_to_a_word_count_and_those_of_a_sentence_do_not(
    repository: Repository, make: Maker, query: str, result: list[str]
) -> None:
    for text in (
        "Cats can climb.",
        "C++ has templates.",
        "Templates in C++11 are compiled.",
        "The .NET runtime.",
        "A net, a home and include, help",
        "#include <vector>",
        "C# and F#",
        "Run it with --help",
        "cd $HOME/bin",
        "ABC++ is no language",
    ):
        make.talk(text)
    hits = repository.search(query)
    contents = [repository.get_message(hit.message_id or "").content for hit in hits]
    assert sorted(contents) == sorted(result)
    for hit in hits:
        assert hit.highlights and all(hit.snippet[start:end].strip() for start, end in hit.highlights)


def test_signs_are_looked_for_in_as_many_matches_as_it_takes(repository: Repository, make: Maker) -> None:
    conversation = make.conversation()
    first = message(conversation.id, None, "user", "C++ is older")
    others = [message(conversation.id, None, "user", f"vitamin C {n}") for n in range(900)]
    repository.add_messages([first, *others])
    assert [hit.message_id for hit in repository.search("C++", limit=5)] == [first.id]


def test_a_hit_names_the_branch_that_holds_it(repository: Repository, make: Maker) -> None:
    conversation, (question, hidden, _, hidden_leaf) = make.talk(
        "ask", "amber one", "more", "leaf", title="t"
    )
    shown_answer = make.add(conversation.id, question, "assistant", "cobalt two")
    head = make.add(conversation.id, shown_answer, "user", "shown leaf")
    assert repository.get_conversation(conversation.id).head_id == head.id
    (hit,) = repository.search("cobalt")
    assert (hit.message_id, hit.head_id) == (shown_answer.id, head.id)
    (hit,) = repository.search("amber")
    assert (hit.message_id, hit.head_id) == (hidden.id, hidden_leaf.id)
    (hit,) = [hit for hit in repository.search("t") if hit.message_id is None]
    assert hit.head_id == head.id


def test_a_search_is_narrowed_by_date_and_by_who_answered(repository: Repository, make: Maker) -> None:
    for number, model in enumerate(("small", "large")):
        conversation = make.conversation(f"jasper {model}")
        question = message(conversation.id, None, "user", "jasper?", created_at=1000.0 * number + 10)
        answer = message(
            conversation.id, question.id, "assistant", "jasper!", created_at=1000.0 * number + 20,
            provenance=Provenance(model=model),
        )  # fmt: skip
        repository.add_messages([question, answer])
        repository.update_conversation(conversation.id, updated_at=1000.0 * number + 20)
    wanted = SearchFilter(model="small")
    assert {hit.title for hit in repository.search("jasper", 30, wanted)} == {"jasper small"}
    assert [hit.role for hit in repository.search("jasper?", 30, wanted)].count("user") == 1
    late = repository.search("jasper", 30, SearchFilter(since=1000.0))
    assert {hit.title for hit in late} == {"jasper large"} and len(late) == 3
    early = [hit for hit in repository.search("jasper", 30, SearchFilter(until=15.0)) if hit.message_id]
    assert [hit.role for hit in early] == ["user"]
    assert {hit.title for hit in repository.search("!", 30, SearchFilter(model="large"))} == {"jasper large"}
    assert repository.models_used() == ["large", "small"]
