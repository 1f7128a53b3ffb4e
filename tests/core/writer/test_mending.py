"""What is offered for a section, and changes of a text that may have changed meanwhile."""

import pytest

from twokeys.core.writer.budget import LengthEstimator
from twokeys.core.writer.mending import Mend, check_passage, mend_of, with_one_spelling, without
from twokeys.core.writer.outline import Node, Outline
from twokeys.core.writer.project import Project
from twokeys.core.writer.prompts import Operation, Surroundings, text_limit
from twokeys.core.writer.quality import TextSpan, Variants
from twokeys.core.writer.section import Problem
from twokeys.core.writer.view import SectionView
from twokeys.errors import BadInput

NODE = Node("n1", 2, "Tea", 300)
TEXT = "Tea is old. Tea is hot. Tea is old. It is drunk in cups."


def section(text: str = TEXT, problem: Problem | None = None) -> SectionView:
    return SectionView(NODE, "1.1", "done", text, problem=problem)


def surroundings(context: int = 0) -> Surroundings:
    return Surroundings(
        Project("Tea", language="en", length=300),
        Outline((NODE,)),
        {"n1": TEXT},
        LengthEstimator(1.4),
        context,
    )


@pytest.mark.parametrize(
    ("problem", "mend"),
    [
        ("loop", Mend("write")),
        ("long", Mend("condense", 300)),
        ("short", Mend("continue")),
        ("cut", Mend("continue")),
        (None, Mend("continue")),
    ],
)
def test_a_loop_is_written_anew_a_long_text_condensed_and_a_short_one_gone_on_with(
    problem: Problem | None, mend: Mend
) -> None:
    assert mend_of(section(problem=problem)) == mend


def test_a_passage_is_taken_out_where_it_stands_and_no_other_like_it() -> None:
    second = TextSpan("n1", 24, 35, "Tea is old.")
    assert without(TEXT, second) == "Tea is old. Tea is hot. It is drunk in cups."
    with pytest.raises(BadInput):
        without("Now. " + TEXT, second)


@pytest.mark.parametrize("selection", [(-1, 4), (4, 4), (9, 4), (0, len(TEXT) + 1)])
def test_a_passage_that_is_not_there_is_refused(selection: tuple[int, int]) -> None:
    with pytest.raises(BadInput):
        check_passage(surroundings(), TEXT, "rewrite", selection)
    check_passage(surroundings(), TEXT, "rewrite", (0, len(TEXT)))


@pytest.mark.parametrize("operation", ["rewrite", "condense", "expand"])
def test_an_operation_works_on_no_more_than_one_request_can_hold(operation: Operation) -> None:
    around = surroundings(2048)
    text = "word " * 9000
    limit = text_limit(around.estimator, around.context, text)
    assert limit < len(text)
    with pytest.raises(BadInput):
        check_passage(around, text, operation, None)
    check_passage(around, text, operation, (0, limit // 2))
    check_passage(around, text, "continue", None)


def test_there_must_be_a_text_to_work_on() -> None:
    with pytest.raises(BadInput):
        check_passage(surroundings(), " \n", "continue", None)


def test_one_spelling_takes_the_place_of_the_others_the_longest_first() -> None:
    variants = Variants((("e-mail", 4, ("n1",)), ("email", 2, ("n1",)), ("emails list", 1, ("n1",))))
    text = section("An email, an e-mail and an emails list.")
    assert with_one_spelling(text, variants, "e-mail") == "An e-mail, an e-mail and an e-mail."
    elsewhere = Variants((("e-mail", 4, ("n1",)), ("email", 2, ("n2",))))
    assert with_one_spelling(text, elsewhere, "e-mail") == text.text
