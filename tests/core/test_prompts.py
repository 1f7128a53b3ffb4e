"""Prompts with variables: read, filled in, stored, taken along as TOML."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from twokeys.answer_schema import AnswerSchema
from twokeys.config import load_config, prepare_home
from twokeys.core.presets import Presets
from twokeys.core.prompts import Prompts, Variable, applied, fill, from_toml, shipped, to_toml, variables
from twokeys.errors import BadFile, BadInput, BadParameter, NotFound
from twokeys.i18n import LANGUAGES
from twokeys.store.repository import Repository
from twokeys.types import SavedPrompt, Settings

FORM = AnswerSchema.of({"type": "object", "properties": {"name": {"type": "string"}}}, "Review")
REVIEW = SavedPrompt(
    "Review", "Review this {{language=Python}}: {{code}}", {"temperature": 0.3}, "Be careful.", FORM
)


@pytest.fixture
def repository() -> Iterator[Repository]:
    config = load_config()
    prepare_home(config)
    opened = Repository.open(config)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{topic}} and {{ topic }}", (Variable("topic"),)),
        ("{{语气=平实}}，{{主题}}", (Variable("语气", "平实"), Variable("主题"))),
        ("{{a}} {{a=later}}", (Variable("a", "later"),)),
        ("{{target language=Chinese}}", (Variable("target language", "Chinese"),)),
        ("{single} { {no} } {{}} {{a\nb}} ${{HOME", ()),
        ('{"json": {"nested": {}}}', ()),
    ],
)
def test_variables_stand_in_two_braces_and_nothing_else_is_one(
    text: str, expected: tuple[Variable, ...]
) -> None:
    assert variables(text) == expected


def test_what_is_filled_in_is_taken_as_it_is_and_an_empty_value_gets_the_default() -> None:
    text = REVIEW.text
    assert fill(text, {"code": "{{language}} \\1", "language": ""}) == "Review this Python: {{language}} \\1"
    assert fill(text, {}) == "Review this Python: "


def test_a_prompt_brings_its_keys_and_its_system_prompt_and_leaves_the_rest() -> None:
    before = Settings(system_prompt="Old", sampling=Settings().sampling.with_(top_p=0.5))
    after = applied(REVIEW, before, Presets(NoPresets()))
    assert (after.sampling.temperature, after.sampling.top_p) == (0.3, 0.5)
    assert (after.system_prompt, after.pinned) == ("Be careful.", ("temperature",))
    assert after.answer_schema == FORM
    plain = applied(SavedPrompt("Plain", "Hello"), before, Presets(NoPresets()))
    assert plain == before


class NoPresets:
    def list_presets(self) -> list[object]:
        return []


def test_own_prompts_are_stored_renamed_in_their_place_and_deleted(repository: Repository) -> None:
    library = Prompts(repository)
    library.save(REVIEW)
    library.save(SavedPrompt("Second", "Hello"))
    with pytest.raises(BadInput, match="Review"):
        library.save(REVIEW)
    library.save(replace(REVIEW, name="  Review  twice "), instead_of="Review")
    own = [prompt for prompt in library.list("en") if not prompt.shipped]
    assert [prompt.name for prompt in own] == ["Review twice", "Second"]
    assert own[0].changes == {"temperature": 0.3}
    assert own[0].answer_schema == replace(FORM, name="Review twice")
    assert library.get("review TWICE", "en") == own[0]
    library.delete("Second")
    with pytest.raises(NotFound):
        library.delete("Second")
    with pytest.raises(NotFound):
        library.delete(shipped("en")[0].name)


def test_an_own_prompt_stands_in_the_place_of_the_shipped_one_of_its_name(repository: Repository) -> None:
    library, first = Prompts(repository), shipped("zh")[0]
    library.save(replace(first, text="我的写法"))
    listed = library.list("zh")
    assert [prompt.text for prompt in listed if prompt.name == first.name] == ["我的写法"]
    assert len(listed) == len(shipped("zh"))


def test_toml_brings_every_prompt_back_and_taken_names_get_a_number(repository: Repository) -> None:
    library = Prompts(repository)
    library.save(REVIEW)
    library.import_toml(library.export_toml())
    names = [prompt.name for prompt in library.list("en") if not prompt.shipped]
    assert names == ["Review", "Review (2)"]
    tricky = SavedPrompt("多行", '第一行\n"""引号"""\n\\n {{空}}\n', {"seed": 7, "top_k": 5})
    assert from_toml(to_toml([tricky, REVIEW])) == [tricky, REVIEW]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prompt = 3",
        "[[prompt]]\nname = 'a'",
        "[[prompt]]\nname = 'a'\ntext = ''",
        "[[prompt]]\nname = 'a'\ntext = 'b'\ntemperature = 9",
        "[[prompt]]\nname = 'a'\ntext = 'b'\nwhatever = 1",
        "[[prompt]]\nname = 'a'\ntext = 'b'\nsystem_prompt = 3",
        "[[prompt]]\nname = 'a'\ntext = 'b'\nanswer_schema = '[]'",
        "[[prompt]\n",
    ],
)
def test_a_file_with_an_unusable_prompt_is_refused_whole(repository: Repository, text: str) -> None:
    library = Prompts(repository)
    with pytest.raises(BadFile):
        library.import_toml("[[prompt]]\nname = 'good'\ntext = 'good'\n" * bool(text) + text)
    assert all(prompt.shipped for prompt in library.list("en"))


def test_a_parameter_out_of_range_is_refused(repository: Repository) -> None:
    with pytest.raises(BadParameter):
        Prompts(repository).save(SavedPrompt("Hot", "Hello", {"temperature": 9.0}))


def test_both_languages_ship_the_same_prompts_with_the_same_keys() -> None:
    rows = [
        [
            (p.changes, len(variables(p.text)), bool(p.system_prompt), bool(p.answer_schema))
            for p in shipped(name)
        ]
        for name in LANGUAGES
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) >= 5
