"""Counts and refusals of one place: exact where the engine runs, honest estimates where it does not."""

from collections.abc import Sequence

import pytest

from twokeys.core.context import ModelPrompt
from twokeys.core.context_check import Begun, ContextCheck, PromptCount, refuse_count
from twokeys.engines.scripted import Say, ScriptedEngine
from twokeys.errors import CannotContinue, ContextExceeded, EngineDied
from twokeys.services import Services
from twokeys.token_estimate import estimate_prompt, estimate_tokens
from twokeys.types import ChatMessage, Message

from .making import MakeServices, conversation

TEXT = "Why do the tides come twice a day?"
MESSAGES = (ChatMessage("user", TEXT),)


class Counting(ScriptedEngine):
    """Counts how often it is asked for token ids; can refuse to count."""

    tokenized = 0
    refuses = False

    async def tokenize(self, text: str) -> list[int]:
        self.tokenized += 1
        if self.refuses:
            raise EngineDied(reason="gone", log="")
        return await super().tokenize(text)

    async def count_prompt(self, messages: Sequence[ChatMessage], prefix: str = "") -> int:
        if self.refuses:
            raise EngineDied(reason="gone", log="")
        return await super().count_prompt(messages, prefix)


def start(services: Services) -> None:
    services.jobs.wait(services.answers.send(conversation(services).id, "hello").job.id, 20)


def test_the_running_engine_counts_and_one_that_does_not_run_is_not_started_for_it(
    make_services: MakeServices,
) -> None:
    engine = Counting([Say("Hello.")])
    services = make_services(engine)
    check = ContextCheck(services.jobs, services.engines)
    assert check.count([MESSAGES]) == PromptCount(estimate_prompt(MESSAGES), exact=False)
    assert not services.engines.running()
    start(services)
    short = (ChatMessage("user", "Hi"),)
    exact = services.jobs.loop.run(engine.count_prompt(MESSAGES), 10)
    assert check.count([short, MESSAGES, short]) == PromptCount(exact, exact=True), "the largest counts"


def test_an_engine_that_fails_to_count_leaves_an_estimate(make_services: MakeServices) -> None:
    engine = Counting([Say("Hello.")])
    services = make_services(engine)
    start(services)
    engine.refuses = True
    check = ContextCheck(services.jobs, services.engines)
    assert check.count([MESSAGES]) == PromptCount(estimate_prompt(MESSAGES), exact=False)
    counts = check.count_texts([TEXT, ""])
    assert (counts.tokens, counts.exact) == ((estimate_tokens(TEXT), estimate_tokens("")), False)


def test_a_text_is_counted_once(make_services: MakeServices) -> None:
    engine = Counting([Say("Hello.")])
    services = make_services(engine)
    check = ContextCheck(services.jobs, services.engines)
    first = check.count_texts([TEXT, "tides", TEXT], start=True)
    assert first.exact and services.engines.running()
    assert first.tokens[0] == first.tokens[2] > first.tokens[1] == 1
    assert engine.tokenized == 2
    assert check.count_texts(["tides", TEXT]).tokens == (first.tokens[1], first.tokens[0])
    assert engine.tokenized == 2


def test_a_plan_counts_the_begun_answer_and_is_made_once(make_services: MakeServices) -> None:
    engine = Counting([Say("Hello.")], context=1000)
    services = make_services(engine)
    start(services)
    check = ContextCheck(services.jobs, services.engines)
    history = [Message("q", "c", None, "user", "Earlier question", created_at=0.0)]
    prompt = ModelPrompt(MESSAGES, (), (), None)
    plan = check.plan(prompt, history, 64)
    begun = check.plan(prompt, history, 64, Begun("It is", (1, 2)))
    assert plan.fits and plan.exact and plan.context == 1000
    assert begun.prompt_tokens == plan.prompt_tokens + 2
    asked = engine.tokenized
    assert check.plan(prompt, history, 64) is plan and engine.tokenized == asked
    check.forget()
    assert check.plan(prompt, history, 64) == plan
    with pytest.raises(ContextExceeded):
        check.refuse_overlong(check.plan(prompt, history, 990))
    check.refuse_full(check.plan(prompt, history, 990))


@pytest.mark.parametrize(
    ("count", "context", "refused"),
    [
        (PromptCount(900, exact=True), 1000, True),
        (PromptCount(900, exact=False), 1000, False),
        (PromptCount(1700, exact=False), 1000, True),
        (PromptCount(1700, exact=True), 0, False),
    ],
    ids=["exact", "an estimate in doubt", "an estimate far beyond", "context not known"],
)
def test_an_estimate_is_refused_only_when_it_is_far_too_long(
    count: PromptCount, context: int, refused: bool
) -> None:
    if not refused:
        refuse_count(count, 128, context)
        return
    with pytest.raises(ContextExceeded) as error:
        refuse_count(count, 128, context)
    assert error.value.params["prompt_tokens"] == count.tokens


def test_a_server_that_cannot_go_on_from_a_begun_answer_says_so_before_it_is_asked(
    make_services: MakeServices,
) -> None:
    ours = make_services(ScriptedEngine([Say("Hello.")]))
    ContextCheck(ours.jobs, ours.engines).refuse_without_prefill()
    theirs = make_services(ScriptedEngine([Say("Hello.")], local=False, supports_prefill=False))
    with pytest.raises(CannotContinue):
        ContextCheck(theirs.jobs, theirs.engines).refuse_without_prefill()
