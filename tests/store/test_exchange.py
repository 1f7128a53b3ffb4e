import io
import json
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokeys.config import Config
from twokeys.errors import BadFile
from twokeys.store.exchange import Exchange
from twokeys.store.repository import Repository
from twokeys.types import (
    Candidate,
    Conversation,
    GuardEvent,
    Message,
    Provenance,
    ResetMark,
    Sampling,
    Settings,
    TokenProb,
)

from .making import Maker, shown

PROVENANCE = {
    "model": "Qwen2.5-7B-Instruct",
    "sampling_set": {"temperature": 0.3, "max_new_tokens": 1024},
    "sampling_used": {"temperature": 0.30000001192092896},
    "seed": 42,
    "completion_tokens": 812,
    "timings": {"total_s": 12.345},
}


def rich_conversation(repository: Repository, make: Maker) -> Conversation:
    """Two versions of an answer, settings, provenance, probabilities, an excluded turn."""
    conversation, (question, answer) = make.talk("什么是梯度消失？", "第一版", title="梯度")
    repository.update_message(
        answer.id,
        provenance=Provenance.from_dict({**PROVENANCE, "excluded": [question.id]}),
        token_ids=(1, 2, 3),
        finish_reason="length",
    )
    repository.put_probs(answer.id, [TokenProb("第", 1, -0.5, 0, (Candidate("第", 1, -0.5),))])
    repository.add_events(answer.id, [GuardEvent("loop", "warn", 1, 2, {"n": 3})])
    second = make.add(conversation.id, question, "assistant", "第二版")
    repository.update_message(second.id, finish_reason="stop", provenance=Provenance.from_dict(PROVENANCE))
    repository.update_message(question.id, excluded=True)
    return repository.update_conversation(
        conversation.id,
        settings=Settings(Sampling(0.3, 1024, seed=5), "你是老师", "precise"),
        resets=(ResetMark(question.id), ResetMark(question.id, keep_history=True)),
        pinned=True,
    )


def tree(repository: Repository, conversation_id: str) -> list[tuple[object, ...]]:
    """A conversation's messages with ids replaced by their places, to compare copies."""
    messages = repository.all_messages(conversation_id)
    place = {m.id: n for n, m in enumerate(messages)}
    return [
        (
            place.get(m.parent_id or ""),
            m.role,
            m.content,
            m.created_at,
            m.state,
            m.finish_reason,
            m.token_ids,
            m.excluded,
            m.error,
            m.versions,
            repository.get_probs(m.id),
            repository.events(m.id),
        )
        for m in messages
    ]


def test_export_and_import_into_another_home_give_the_same_conversation(
    repository: Repository, make: Maker, tmp_path: Path
) -> None:
    conversation = rich_conversation(repository, make)
    exported = Exchange(repository).export_json(with_probs=True)
    other = Repository.open(Config(home=tmp_path / "other"))
    imported = Exchange(other).import_file(exported.encode(), "all.json")
    assert (imported.source, imported.conversation_ids, imported.message_count) == (
        "twokeys",
        (conversation.id,),
        3,
    )
    assert other.get_conversation(conversation.id) == conversation
    assert other.all_messages(conversation.id) == repository.all_messages(conversation.id)
    assert tree(other, conversation.id) == tree(repository, conversation.id)
    assert len(other.search("梯度消失")) == 1
    other.close()


def test_importing_again_makes_a_copy_under_new_ids_and_overwrites_nothing(
    repository: Repository, make: Maker
) -> None:
    conversation = rich_conversation(repository, make)
    exported = Exchange(repository).export_json([conversation.id], with_probs=True)
    repository.update_conversation(conversation.id, title="改过的名字")
    before = repository.all_messages(conversation.id)
    exchange = Exchange(repository)
    (copy_id,) = exchange.import_file(exported.encode(), "one.json", again=True).conversation_ids
    copy = repository.get_conversation(copy_id)
    assert copy_id != conversation.id
    assert repository.get_conversation(conversation.id).title == "改过的名字"
    assert repository.all_messages(conversation.id) == before
    assert tree(repository, copy_id) == tree(repository, conversation.id)
    assert shown(repository, copy_id) == shown(repository, conversation.id)
    copied = repository.all_messages(copy_id)
    assert copied[1].provenance.excluded == (copied[0].id,) and copy.state_reset_at == copied[0].id


def test_an_answer_being_written_during_the_export_is_imported_as_interrupted(
    repository: Repository, make: Maker, tmp_path: Path
) -> None:
    conversation = make.conversation()
    answer = make.begin(conversation.id)
    repository.append(answer.id, "写到一半", [1])
    other = Repository.open(Config(home=tmp_path / "other"))
    Exchange(other).import_file(Exchange(repository).export_json().encode(), "x.json")
    read = other.get_message(answer.id)
    assert (read.content, read.state, read.finish_reason) == ("写到一半", "interrupted", "interrupted")
    other.close()


texts = st.text(max_size=40)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Conversation, list[Message]]:
    count = draw(st.integers(0, 12))
    messages = []
    for number in range(count):
        parent = draw(st.none() | st.integers(0, number - 1)) if number else None
        role = draw(st.sampled_from(["user", "assistant"]))
        messages.append(
            Message(
                id=f"m{number}",
                conversation_id="c",
                parent_id=None if parent is None else f"m{parent}",
                role=role,
                content=draw(texts),
                created_at=draw(st.floats(0, 4e9)),
                state=draw(st.sampled_from(["done", "interrupted", "failed"])),
                finish_reason=draw(st.sampled_from([None, "stop", "length", "guard"])),
                provenance=Provenance(more=draw(st.dictionaries(texts, json_values, max_size=3))),
                token_ids=tuple(draw(st.lists(st.integers(0, 2**32 - 1), max_size=5))),
                excluded=draw(st.booleans()),
                error=draw(st.none() | st.just({"code": "engine_died", "params": {"reason": "信号 9"}})),
            )
        )
    head = f"m{draw(st.integers(0, count - 1))}" if count else None
    sampling = Sampling(
        temperature=draw(st.floats(0, 2)),
        max_new_tokens=draw(st.integers(1, 32768)),
        seed=draw(st.none() | st.integers(0, 2**32 - 2)),
        stop=tuple(draw(st.lists(st.text(min_size=1, max_size=5), max_size=3))),
    )
    retained = Settings(
        sampling, draw(texts), draw(st.none() | texts), draw(st.booleans()), draw(st.integers(0, 8))
    )
    conversation = Conversation(
        "c",
        draw(texts),
        draw(st.floats(0, 4e9)),
        draw(st.floats(0, 4e9)),
        draw(st.booleans()),
        draw(st.sampled_from(["first_words", "model", "person"])),
        retained,
        head,
    )
    return conversation, messages


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_one=conversations())
def test_any_conversation_survives_export_and_import(
    tmp_path_factory: pytest.TempPathFactory, given_one: tuple[Conversation, list[Message]]
) -> None:
    conversation, messages = given_one
    folder = tmp_path_factory.mktemp("round")
    first, second = (Repository.open(Config(home=folder / name)) for name in ("a", "b"))
    first.create_conversation(replace(conversation, head_id=None))
    first.add_messages(messages)
    stored = first.update_conversation("c", head_id=conversation.head_id)
    assert stored == conversation
    for _ in range(2):
        Exchange(second).import_file(Exchange(first).export_json().encode(), "x.json", again=True)
    assert second.get_conversation("c") == conversation
    assert second.all_messages("c") == first.all_messages("c")
    (copy,) = [c for c in second.list_conversations() if c.id != "c"]
    assert tree(second, copy.id) == tree(first, "c")
    first.close()
    second.close()


# -- ChatGPT -------------------------------------------------------------------------------------


def node(
    key: str, parent: str | None, role: str | None, *parts: Any, kind: str = "text", **more: Any
) -> dict[str, Any]:
    message = None
    if role is not None:
        message = {
            "id": key,
            "author": {"role": role},
            "create_time": more.pop("at", None),
            "content": {"content_type": kind, "parts": list(parts)},
            "metadata": more.pop("metadata", {}),
            "recipient": more.pop("recipient", "all"),
        }
    return {"id": key, "message": message, "parent": parent, "children": []}


def chatgpt_conversation() -> dict[str, Any]:
    nodes = [
        node("root", None, None),
        node("sys", "root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
        node("q", "sys", "user", "画一只猫", at=100.0),
        node("call", "q", "assistant", "search('cat')", recipient="browser", at=101.0),
        node("tool", "call", "tool", "results", at=102.0),
        node("a1", "tool", "assistant", "第一版", at=103.0, metadata={"model_slug": "gpt-4o"}),
        node("a2", "q", "assistant", "第二版", at=110.0),
        node("q2", "a1", "user", {"content_type": "image_asset_pointer"}, "这是什么", kind="multimodal_text"),
        node("thinking", "q2", "assistant", kind="thoughts"),
        node("a3", "thinking", "assistant", "一只猫", at=None),
        node("empty", "a3", "user", ""),
    ]
    return {
        "title": "猫",
        "create_time": 100.5,
        "update_time": 200.5,
        "mapping": {n["id"]: n for n in nodes},
        "current_node": "empty",
    }


def test_a_chatgpt_export_keeps_texts_versions_and_the_shown_branch(repository: Repository) -> None:
    data = json.dumps([chatgpt_conversation()]).encode()
    imported = Exchange(repository).import_file(data, "conversations.json")
    assert (imported.source, imported.message_count) == ("chatgpt", 5)
    (conversation,) = repository.list_conversations()
    assert (conversation.title, conversation.created_at, conversation.updated_at) == ("猫", 100.5, 200.5)
    branch = repository.branch(conversation.id)
    assert [m.content for m in branch] == ["画一只猫", "第一版", "[image]\n\n这是什么", "一只猫"]
    assert (branch[1].version, branch[1].versions) == (1, 2)
    assert branch[1].provenance == Provenance(imported_from="chatgpt", model="gpt-4o")
    assert len(repository.search("一只猫")) == 2


def test_the_zip_of_a_chatgpt_export_is_read_in_all_its_parts(repository: Repository) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("export/conversations-000.json", json.dumps([chatgpt_conversation()]))
        other = {**chatgpt_conversation(), "conversation_id": "another"}
        archive.writestr("export/conversations-001.json", json.dumps([other]))
        archive.writestr("export/user.json", "{}")
        archive.writestr("chat.html", "<html>")
    imported = Exchange(repository).import_file(packed.getvalue(), "export.zip")
    assert len(imported.conversation_ids) == 2 and repository.count_conversations() == 2


def test_a_very_long_chatgpt_conversation_is_read(repository: Repository) -> None:
    nodes = {"0": node("0", None, None)}
    for n in range(1, 3000):
        nodes[str(n)] = node(str(n), str(n - 1), "user" if n % 2 else "assistant", f"{n}")
    data = json.dumps([{"title": None, "mapping": nodes, "current_node": "2999"}]).encode()
    (conversation_id,) = Exchange(repository).import_file(data, "x").conversation_ids
    assert len(repository.branch(conversation_id)) == 2999


# -- files that cannot be used -------------------------------------------------------------------


def ours(**changes: Any) -> dict[str, Any]:
    message = {
        "id": "m",
        "parent_id": None,
        "role": "user",
        "content": "问",
        "created_at": 1,
        "state": "done",
    }
    conversation = {
        "id": "c",
        "title": "t",
        "title_by": "person",
        "created_at": 1,
        "updated_at": 1,
        "head_id": "m",
        "messages": [{**message, **changes.pop("message", {})}, *changes.pop("more", [])],
    }
    conversation.update(changes.pop("conversation", {}))
    return {"format": "twokeys.conversations", "version": 1, "conversations": [conversation], **changes}


def loop() -> list[dict[str, Any]]:
    nodes = [node("a", "b", None), node("b", "a", None), node("c", "a", "user", "x")]
    return [{"title": "x", "mapping": {n["id"]: n for n in nodes}}]


def as_zip(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.json", text)
    return packed.getvalue()


BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(128, 256)) * 10,
    "cut": json.dumps(ours()).encode()[:-20],
    "HTML": b"<html></html>",
    "another JSON": b'{"a": 1}',
    "a list of something": b"[1, 2]",
    "no conversation": b"[]",
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "huge number": b'{"format": "twokeys.conversations", "version": ' + b"9" * 10_000 + b"}",
    "newer": json.dumps(ours(version=2)).encode(),
    "no version": json.dumps(ours(version=None)).encode(),
    "no conversations": json.dumps(ours(conversations=[])).encode(),
    "conversations not a list": json.dumps(ours(conversations={})).encode(),
    "title a number": json.dumps(ours(conversation={"title": 5})).encode(),
    "head elsewhere": json.dumps(ours(conversation={"head_id": "no"})).encode(),
    "time NaN": json.dumps(ours(conversation={"created_at": float("nan")})).encode(),
    "unknown role": json.dumps(ours(message={"role": "root"})).encode(),
    "role a list": json.dumps(ours(message={"role": []})).encode(),
    "missing parent": json.dumps(ours(message={"parent_id": "no"})).encode(),
    "own parent": json.dumps(ours(message={"parent_id": "m"})).encode(),
    "negative token": json.dumps(ours(message={"token_ids": [-1]})).encode(),
    "odd events": json.dumps(ours(message={"events": [["loop"]]})).encode(),
    "odd probabilities": json.dumps(ours(message={"probs": [[1, "x", None, 0, []]]})).encode(),
    "repeated ids": json.dumps(ours(more=[ours()["conversations"][0]["messages"][0]])).encode(),
    "its own double": json.dumps(
        ours(more=[{**ours()["conversations"][0]["messages"][0], "parent_id": "m"}])
    ).encode(),
    "no Unicode": json.dumps(ours(message={"id": "\ud800", "role": "\ud800"})).encode(),
    "broken zip": b"PK\x03\x04 and then nothing",
    "zip without conversations": as_zip(user="{}"),
    "zip with a broken member": as_zip(conversations="[{"),
    "ChatGPT loop": json.dumps(loop()).encode(),
    "ChatGPT without texts": json.dumps([{"mapping": {"a": node("a", None, None)}}]).encode(),
    "ChatGPT mapping a list": json.dumps([{"mapping": {}}, {"mapping": []}]).encode(),
}


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_a_bad_file_is_refused_with_a_reason_and_nothing_is_stored(repository: Repository, name: str) -> None:
    with pytest.raises(BadFile) as caught:
        Exchange(repository).import_file(BAD_FILES[name], f"{name}.json")
    assert repository.list_conversations() == []
    for language in ("zh", "en"):
        sentence = caught.value.message(language)
        assert f"{name}.json" in sentence and "{" not in sentence.replace("{…}", "")
    assert caught.value.message("zh") != caught.value.message("en")


def test_a_file_bad_in_its_second_conversation_brings_the_others_and_says_what_was_left_out(
    repository: Repository,
) -> None:
    document = ours()
    first = document["conversations"][0]
    third = {**first, "id": "c3", "messages": [{**first["messages"][0], "id": "m3"}], "head_id": "m3"}
    document["conversations"] += [{**first, "title": "broken one", "messages": "no"}, third]
    imported = Exchange(repository).import_file(json.dumps(document).encode(), "x.json")
    assert imported.conversation_ids == ("c", "c3")
    (left_out,) = imported.left_out
    assert left_out.title == "broken one" and "messages" in left_out.reason
    assert {c.id for c in repository.list_conversations()} == {"c", "c3"}


def test_a_file_that_breaks_off_stores_nothing_of_what_came_before(repository: Repository) -> None:
    data = json.dumps([{**chatgpt_conversation(), "id": str(n)} for n in range(50)]).encode()
    with pytest.raises(BadFile):
        Exchange(repository).import_file(data[:-20], "x.json")
    assert repository.list_conversations() == []


def test_a_chat_with_a_missing_node_is_left_out_of_an_export_of_three(repository: Repository) -> None:
    broken = {**chatgpt_conversation(), "title": "torn", "conversation_id": "b"}
    broken["mapping"] = {key: node for key, node in broken["mapping"].items() if key != "tool"}
    chats = [{**chatgpt_conversation(), "conversation_id": "a"}, broken]
    chats.append({**chatgpt_conversation(), "conversation_id": "c"})
    imported = Exchange(repository).import_file(json.dumps(chats).encode(), "conversations.json")
    assert len(imported.conversation_ids) == 2
    assert [left_out.title for left_out in imported.left_out] == ["torn"]


def test_the_same_chat_is_recognised_and_stored_again_only_when_told_so(repository: Repository) -> None:
    chats = [{**chatgpt_conversation(), "conversation_id": name} for name in "ab"]
    exchange = Exchange(repository)
    first = exchange.import_file(json.dumps(chats[:1]).encode(), "x.json")
    second = exchange.import_file(json.dumps(chats).encode(), "x.json")
    assert len(second.conversation_ids) == 1
    (here,) = second.already_here
    assert (here.title, here.conversation_id) == ("猫", first.conversation_ids[0])
    third = exchange.import_file(json.dumps(chats).encode(), "x.json", again=True, only=[here.origin])
    assert len(third.conversation_ids) == 1 and third.already_here == ()
    assert repository.count_conversations() == 3
    for conversation in repository.list_conversations():
        repository.delete_conversation(conversation.id)
    assert len(exchange.import_file(json.dumps(chats).encode(), "x.json").conversation_ids) == 2


def test_what_was_exported_here_is_recognised_as_here(repository: Repository, make: Maker) -> None:
    conversation = rich_conversation(repository, make)
    exported = Exchange(repository).export_json().encode()
    imported = Exchange(repository).import_file(exported, "x.json")
    assert imported.conversation_ids == ()
    assert [here.conversation_id for here in imported.already_here] == [conversation.id]
    repository.delete_conversation(conversation.id)
    assert len(Exchange(repository).import_file(exported, "x.json").conversation_ids) == 1


def test_footnote_marks_leave_a_chatgpt_text_and_the_words_beside_them_stay(repository: Repository) -> None:
    marked = (
        "Cats sleep.\ue200cite\ue202turn0search0\ue202turn1view2\ue201 In \ue200entity\ue202"
        '["city","Kyoto","a city"]\ue201 see \ue200url\ue202the guide\ue202turn0search3\ue201.\ue203\ue204'
    )
    chat = {"title": "x", "mapping": {"a": node("a", None, "user", marked)}, "current_node": "a"}
    (made,) = Exchange(repository).import_file(json.dumps([chat]).encode(), "x").conversation_ids
    assert shown(repository, made) == ["Cats sleep. In Kyoto see the guide."]
    assert repository.search("turn0search0") == []


def test_odd_settings_are_no_reason_to_refuse_a_conversation(repository: Repository) -> None:
    odd = {
        "sampling": {"temperature": "hot", "top_k": 7},
        "system_prompt": ["no"],
        "auto_continue": 2,
        "new": 1,
    }
    Exchange(repository).import_file(json.dumps(ours(conversation={"settings": odd})).encode(), "x.json")
    assert repository.get_conversation("c").settings == Settings(Sampling(top_k=7), auto_continue=2)


def test_a_file_with_a_byte_order_mark_is_read(repository: Repository) -> None:
    Exchange(repository).import_file(b"\xef\xbb\xbf" + json.dumps(ours()).encode(), "x.json")
    assert shown(repository, "c") == ["问"]


# -- Markdown ------------------------------------------------------------------------------------


def test_markdown_shows_the_branch_with_its_parameters_in_both_languages(
    repository: Repository, make: Maker
) -> None:
    conversation = rich_conversation(repository, make)
    zh = Exchange(repository).export_markdown(conversation.id, "zh")
    en = Exchange(repository).export_markdown(conversation.id, "en")
    assert zh.startswith("# 梯度\n\n<sub>") and "第二版" in zh and "第一版" not in zh
    assert "> **角色设定**\n>\n> 你是老师" in zh
    assert "### 回答 · Qwen2.5-7B-Instruct" in zh
    assert "<sub>温度 0.3 · 长度上限 1024 · 种子 42 · 812 个 token · 12.35 秒 · 写完了 · " in zh
    assert "第 2 版，共 2 版</sub>" in zh
    assert "<sub>未发给模型</sub>" in zh
    assert "temperature 0.3 · at most 1024 tokens · seed 42 · 812 tokens · 12.35 s · complete" in en
    repository.update_conversation(conversation.id, head_id=repository.all_messages(conversation.id)[1].id)
    assert "**到达长度上限，没写完**" in Exchange(repository).export_markdown(conversation.id, "zh")


def test_all_conversations_as_markdown_are_one_zip_with_safe_names(
    repository: Repository, make: Maker
) -> None:
    for title in ("../../etc/passwd", "同名", "同名", "", "a/b\\c:d*e?"):
        make.talk("问", "答", title=title)
    with zipfile.ZipFile(io.BytesIO(Exchange(repository).export_markdown_zip("zh"))) as archive:
        names = archive.namelist()
        assert len(set(names)) == 5
        assert not any(sign in name for name in names for sign in '/\\:*?"<>|') and all(
            not name.startswith(".") for name in names
        )
        assert "### 我\n\n问" in archive.read(names[0]).decode()


def test_the_texts_of_the_store_are_there_in_both_languages() -> None:
    path = Path(__file__).parents[2] / "src/twokeys/i18n/texts/store.toml"

    def leaves(values: dict[str, Any]) -> list[dict[str, Any]]:
        if any(isinstance(value, str) for value in values.values()):
            return [values]
        return [leaf for value in values.values() for leaf in leaves(value)]

    for leaf in leaves(tomllib.loads(path.read_text(encoding="utf-8"))):
        assert set(leaf) == {"zh", "en"} and all(leaf.values())


def test_a_large_import_comes_in_whole(repository: Repository) -> None:
    document = ours()
    first = document["conversations"][0]["messages"][0]
    document["conversations"][0]["messages"] = [
        {**first, "id": f"m{n}", "parent_id": f"m{n - 1}" if n else None} for n in range(5000)
    ]
    document["conversations"][0]["head_id"] = "m4999"
    assert Exchange(repository).import_file(json.dumps(document).encode(), "x.json").message_count == 5000
