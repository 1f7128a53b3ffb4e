import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from twokeys.config import Config
from twokeys.errors import StoreLocked
from twokeys.store.repository import Repository
from twokeys.types import Message, Provenance

from .making import Maker, message, shown, start_python

WRITER = """
import sys, time
from pathlib import Path
from twokeys.config import Config
from twokeys.ids import new_id
from twokeys.store.repository import Repository
from twokeys.types import Message, Provenance

repository = Repository.open(Config(home=Path(sys.argv[1])))
answer = repository.get_message(sys.argv[2]) if len(sys.argv) > 3 else None
if answer is None:
    answer = Message(new_id(), sys.argv[2], None, "assistant", "", time.time(), state="streaming")
    repository.begin(answer)
else:
    from dataclasses import replace
    repository.begin(replace(answer, state="streaming"))
print(answer.id, flush=True)
pending, number, flushed = "", 0, time.monotonic()
while True:
    pending += f"{number} "
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
    if time.monotonic() - flushed >= 0.25:
        repository.append(answer.id, pending, [number])
        pending, flushed = "", time.monotonic()
    time.sleep(0.01)
"""


def test_an_answer_being_written_can_be_read_with_all_its_pieces(repository: Repository, make: Maker) -> None:
    conversation, (question,) = make.talk("问")
    answer = make.begin(conversation.id, question)
    repository.append(answer.id, "梯度", [1, 2])
    repository.append(answer.id, "消失", [3])
    read = repository.branch(conversation.id)[-1]
    assert (read.content, read.token_ids, read.state) == ("梯度消失", (1, 2, 3), "streaming")
    assert repository.get_conversation(conversation.id).head_id == answer.id


def test_a_finished_answer_is_whole_and_its_journal_is_gone(repository: Repository, make: Maker) -> None:
    conversation = make.conversation()
    answer = make.begin(conversation.id)
    repository.append(answer.id, "写了一半又被守护截掉的文字", [1, 2, 3])
    done = replace(
        answer,
        content="写了一半",
        state="done",
        finish_reason="guard",
        token_ids=(1, 2),
        provenance=Provenance(sampling_set={"temperature": 0.7}),
    )
    repository.finish(done)
    assert repository.get_message(answer.id) == done
    assert repository.recover_interrupted() == []
    repository.finish(done)
    assert repository.get_message(answer.id) == done


def test_a_continued_answer_grows_from_its_text(repository: Repository, make: Maker) -> None:
    conversation = make.conversation()
    answer = make.begin(conversation.id)
    repository.finish(replace(answer, content="前半", state="done", finish_reason="length", token_ids=(1,)))
    before = repository.get_message(answer.id)
    repository.begin(replace(before, state="streaming", finish_reason=None))
    repository.append(answer.id, "后半", [2])
    grown = repository.get_message(answer.id)
    assert (grown.content, grown.token_ids, grown.finish_reason) == ("前半后半", (1, 2), None)
    repository.finish(replace(grown, state="done", finish_reason="stop"))
    assert repository.get_message(answer.id).content == "前半后半"
    assert len(repository.search("半后")) == 1


def test_an_answer_whose_begin_failed_is_stored_by_finish(repository: Repository, make: Maker) -> None:
    conversation, (question,) = make.talk("问")
    answer = message(conversation.id, question.id, "assistant", "答", finish_reason="stop")
    repository.finish(answer)
    assert shown(repository, conversation.id) == ["问", "答"]


def test_a_killed_app_loses_at_most_half_a_second_and_the_rest_can_be_continued(
    config: Config, repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    app = start_python(WRITER, config.home, conversation.id)
    assert app.stdout is not None
    answer_id = app.stdout.readline().strip()
    assert repository.recover_interrupted() == []
    time.sleep(1.2)
    os.kill(app.pid, signal.SIGKILL)
    written = app.stdout.read().split()
    app.communicate()

    assert repository.recover_interrupted() == [answer_id]
    answer = repository.branch(conversation.id)[-1]
    assert (answer.state, answer.finish_reason) == ("interrupted", "interrupted")
    words = answer.content.split()
    assert words == written[: len(words)]
    assert len(words) > 0 and len(answer.token_ids) > 0
    # 100 numbers a second were written: half a second is 50 of them.
    assert len(written) - len(words) <= 50
    assert [hit.message_id for hit in repository.search('"0 1 2 3"')] == [answer_id]
    assert not list(config.run_dir.glob("app-*.lock")) or repository.recover_interrupted() == []


def test_answers_of_another_running_app_are_left_alone_and_cannot_be_taken_over(
    config: Config, repository: Repository, make: Maker
) -> None:
    conversation = make.conversation()
    app = start_python(WRITER, config.home, conversation.id)
    try:
        assert app.stdout is not None
        answer_id = app.stdout.readline().strip()
        time.sleep(0.6)
        assert repository.recover_interrupted() == []
        other = repository.get_message(answer_id)
        assert other.state == "streaming" and other.content.startswith("0 1 2 ")
        with pytest.raises(StoreLocked):
            repository.begin(replace(other, state="streaming"))
    finally:
        app.kill()
        app.communicate()
    repository.begin(replace(repository.get_message(answer_id), state="streaming"))


def test_two_apps_write_to_one_home_and_both_texts_are_whole(
    config: Config, repository: Repository, make: Maker
) -> None:
    theirs, ours = make.conversation(), make.conversation()
    app = start_python(WRITER, config.home, theirs.id)
    assert app.stdout is not None
    answer_id = app.stdout.readline().strip()
    answer = make.begin(ours.id)
    started = time.monotonic()
    pieces = 0
    while time.monotonic() - started < 1.0:
        repository.append(answer.id, f"{pieces} ")
        pieces += 1
    app.kill()
    app.communicate()
    assert repository.get_message(answer.id).content.split() == [str(n) for n in range(pieces)]
    assert repository.recover_interrupted() == [answer_id]
    numbers = repository.get_message(answer_id).content.split()
    assert numbers == [str(n) for n in range(len(numbers))] and len(numbers) > 20
    assert repository.get_message(answer.id).state == "streaming"


def test_a_queued_answer_of_a_dead_app_is_marked_too(config: Config, home: Path) -> None:
    first = Repository.open(config)
    conversation = first.create_conversation()
    queued = Message("q1", conversation.id, None, "assistant", "", time.time(), state="queued")
    first.add_message(queued)
    first.close()
    second = Repository.open(config)
    assert second.recover_interrupted() == ["q1"]
    assert second.get_message("q1").state == "interrupted"
    second.close()


def test_a_piece_costs_no_more_at_the_end_of_a_long_answer_than_at_its_start(
    repository: Repository, make: Maker
) -> None:
    answer = make.begin(make.conversation().id)

    def append(count: int) -> float:
        times = []
        for number in range(count):
            started = time.perf_counter()
            repository.append(
                answer.id, "一段二十五个 token 的文字，大约这么长。" * 2, range(number, number + 25)
            )
            times.append(time.perf_counter() - started)
        return sorted(times)[len(times) // 2]

    first = append(100)
    append(1100)
    last = append(110)
    assert last < 3 * first + 0.001
    assert len(repository.get_message(answer.id).token_ids) == 1310 * 25
