"""A kept answer becomes a version in the conversation, once."""

from twokeys.services import Services

from .making import BASE, QUESTION, ended, start


def test_keeping_one_makes_it_a_version_in_the_conversation_it_came_from(services: Services) -> None:
    chat = services.conversations.new(BASE)
    first = services.answers.send(chat.id, QUESTION)
    services.jobs.wait(first.job.id, 20)
    begun = services.compare.start_from(
        first.answer_message.parent_id or "", services.compare.default_columns(BASE)
    )
    comparison = ended(services, begun)
    message = services.compare.keeping.keep(comparison.id, 2)
    assert not message.created and message.conversation_id == chat.id
    _question, answer = services.conversations.messages(chat.id)
    assert answer.id == message.message_id and answer.versions == 2
    assert answer.content == "answer at 1 degrees"
    assert answer.provenance.kept_from["comparison"] == comparison.id
    assert services.repository.get_probs(answer.id) == services.compare.stored.probs(comparison.id, 2)
    assert services.compare.keeping.keep(comparison.id, 2) == message
    assert services.compare.stored.get(comparison.id).columns[2].kept_as == answer.id


def test_keeping_answers_to_a_new_question_adds_the_question_once(services: Services) -> None:
    chat = services.conversations.new(BASE)
    services.jobs.wait(services.answers.send(chat.id, "before").job.id, 20)
    comparison = ended(services, start(services, conversation_id=chat.id))
    services.compare.keeping.keep(comparison.id, 0)
    services.compare.keeping.keep(comparison.id, 1)
    messages = services.conversations.messages(chat.id)
    assert [m.content for m in messages[2:]] == [QUESTION, "answer at 0.7 degrees"]
    assert messages[3].versions == 2


def test_keeping_without_a_conversation_makes_one(services: Services) -> None:
    comparison = ended(services, start(services))
    message = services.compare.keeping.keep(comparison.id, 0)
    assert message.created
    conversation = services.repository.get_conversation(message.conversation_id)
    assert conversation.kind == "chat" and conversation.settings.sampling.temperature == 0.3
    assert [m.role for m in services.conversations.messages(message.conversation_id)] == ["user", "assistant"]
    services.repository.delete_conversation(message.conversation_id)
    again = services.compare.keeping.keep(comparison.id, 0)
    assert again.created and again.conversation_id != message.conversation_id
