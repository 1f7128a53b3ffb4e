"""A new study: from one that comes with the product, from a file, or from a small form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import streamlit as st

from twokeys.core.memory.drafts import OFF
from twokeys.core.study.axes import axis_title, cell_title
from twokeys.core.study.fleet import FleetSpec
from twokeys.core.study.measure import MEASURES
from twokeys.core.study.own_prompt import own_prompts
from twokeys.core.study.prompt import PromptSet
from twokeys.core.study.study import Study
from twokeys.errors import BadFile, BadParameter, TwoKeysError
from twokeys.i18n import catalogue
from twokeys.types import BOUNDS, KvType, SamplerOrder
from twokeys.ui import state, widgets, words
from twokeys.ui.lab import engines, plan, steps
from twokeys.ui.words import t

SOURCES = ("template", "form", "file")
OFFERED = ("correct", "distinct_2", "similarity", "rep_4", "truncated", "tokens", "tok_per_s", "mean_nll")
USUAL = ("correct", "distinct_2", "similarity")
USUAL_EACH = 8
"""Questions of a set that a new grid begins with: with fewer, not every usual measure can get a verdict."""
MOST_BYTES = 1 << 20
_BEGUN_FROM = state.TabValue[str | None]("lab_from", None)
FURTHER = (*(name for name in BOUNDS if name not in ("temperature", "max_new_tokens", "seed")),
           "order", "context", "kv_type", "draft", "model")  # fmt: skip
"""The axes that the form's further part offers, one at a time."""


def draw(*, has_model: bool) -> None:
    """Draw where the study comes from, what it will cost, and the start."""
    source = st.segmented_control(
        t("labpage.new.source"),
        SOURCES,
        key="lab_source",
        default="template",
        required=True,
        format_func={name: t(f"labpage.new.{name}") for name in SOURCES}.__getitem__,
    )
    makers: dict[str, Callable[[], Study | None]] = {"template": _template, "form": _form, "file": _file}
    try:
        study = makers[source or "template"]()
        if study is None:
            return
        estimate = state.services().lab.plan(study)
    except TwoKeysError as error:
        widgets.error(error)
        return
    with st.container(key="card_lab_plan"):
        plan.draw(estimate)
        on = engines.choose("new", FleetSpec())
        ready = on is not None and (has_model or bool(on.servers))
        with st.container(horizontal=True, gap="small"):
            if st.button(t("labpage.new.start"), key="lab_new_start", type="primary",
                         icon=":material/play_arrow:", disabled=not ready):  # fmt: skip
                steps.create(study, start=True, on=on)
                st.rerun()
            if st.button(t("labpage.new.keep"), key="lab_new_keep"):
                steps.create(study, start=False)
                st.rerun()
        if on is not None and not ready:
            widgets.note(t("labpage.no_model"))


def read_study(data: bytes, name: str) -> Study:
    """Return the study of an uploaded file. Raises BadFile or BadParameter."""
    if len(data) > MOST_BYTES:
        raise BadFile(name=name, reason=f"> {MOST_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(name=name, reason=str(error)) from error
    return Study.from_toml(text, name.rpartition(".")[0] or name)


def numbers(text: str, field: str, kind: Callable[[str], Any]) -> list[Any]:
    """Return the numbers of a line, in any usual punctuation, each once. Raises BadParameter."""
    parts = text.translate(dict.fromkeys(map(ord, ",，、;；"), " ")).split()
    try:
        values = list(dict.fromkeys(kind(part) for part in parts))
    except ValueError as error:
        raise BadParameter(field=field, value=text, allowed=t("labpage.new.numbers")) from error
    if not values:
        raise BadParameter(field=field, value=text, allowed=t("labpage.new.numbers"))
    return values


def set_title(prompt_set: PromptSet) -> str:
    """Return what a prompt set holds: its task and language, how many prompts, how many can be checked."""
    key = "labpage.new.set_checked" if prompt_set.checkable else "labpage.new.set"
    name = t(
        "labpage.new.set_name",
        task=_set_task(prompt_set),
        language=t(f"labpage.new.in.{prompt_set.language}"),
    )
    return t(key, name=name, count=len(prompt_set.prompts), checkable=prompt_set.checkable)


def _set_task(prompt_set: PromptSet) -> str:
    """Return what a set asks for: its task, or its own title where another set has the same task."""
    own = f"labpage.new.sets_of.{prompt_set.name.rpartition('-')[0]}"
    return t(own) if own in catalogue() else t(f"lab.task.{prompt_set.task}")


def _template() -> Study:
    shipped = state.services().lab.shipped(words.language())
    names = ["temperature", *(name for name in shipped if name != "temperature")]
    wanted = st.query_params.get("from")
    if wanted in shipped and _BEGUN_FROM.get() != wanted:
        state.show_value("lab_template", wanted)
        _BEGUN_FROM.set(wanted)
    name = st.selectbox(
        t("labpage.new.template"),
        names,
        key="lab_template",
        format_func={
            template: shipped[template].title_in(words.language()) for template in names
        }.__getitem__,
    )
    study = shipped[name or names[0]]
    cells = " · ".join(cell_title(cell.name, words.language()) for cell in study.cells)
    widgets.note(t("labpage.new.template_note", cells=cells, prompts=len(study.prompts), seeds=study.seeds))
    return study


def _file() -> Study | None:
    uploaded = st.file_uploader(t("labpage.new.file_label"), type=["toml"], key="lab_file")
    widgets.note(t("labpage.new.file_note"))
    return None if uploaded is None else read_study(uploaded.getvalue(), uploaded.name)


def _form() -> Study | None:
    sets = {prompt_set.name: prompt_set for prompt_set in state.services().lab.prompt_sets()}
    language = words.language()
    names = sorted(sets, key=lambda name: sets[name].language != language)
    title = st.text_input(t("labpage.new.name"), t("labpage.new.name_default"), key="lab_name", max_chars=80)
    chosen = st.multiselect(
        t("labpage.new.sets"),
        names,
        default=[f"fact-{language}"],
        key="lab_sets",
        format_func={name: set_title(sets[name]) for name in names}.__getitem__,
    )
    left, middle, right = st.columns(3, gap="medium")
    with left:
        temperatures = st.text_input(
            t("labpage.new.temperatures"), "0.3, 0.7, 1.0", key="lab_temperatures",
            help=t("labpage.new.list_help"),
        )  # fmt: skip
    with middle:
        lengths = st.text_input(
            t("labpage.new.lengths"), "128", key="lab_lengths", help=t("labpage.new.list_help")
        )
    with right:
        each = st.number_input(t("labpage.new.each"), 1, 50, USUAL_EACH, key="lab_each")
    left, right = st.columns([1, 2], gap="medium")
    with left:
        seeds = st.number_input(
            t("labpage.new.seeds"), 1, 100, 2, key="lab_seeds", help=t("labpage.new.seeds_help")
        )
    with right:
        outcomes = st.multiselect(
            t("labpage.new.outcomes"),
            OFFERED,
            default=USUAL,
            key="lab_outcomes",
            format_func={name: t(f"lab.measure.{name}.title") for name in OFFERED}.__getitem__,
        )
    axis, values, own, slots = _further()
    if not chosen and not own.strip():
        widgets.note(t("labpage.new.choose_sets"))
        return None
    return form_study(
        str(title), list(chosen), str(temperatures), str(lengths), int(each), int(seeds), list(outcomes),
        further={axis: further_values(axis, values)} if axis else {}, own=own, slots=slots or None,
    )  # fmt: skip


def _further() -> tuple[str | None, str | list[str], str, int]:
    """Draw the part for those who want more; return an axis, its values, prompts by line and slots."""
    with st.expander(t("labpage.new.further"), icon=":material/tune:", key="lab_further"):
        left, right = st.columns([1, 2], gap="medium")
        with left:
            axis = st.selectbox(
                t("labpage.new.axis"),
                FURTHER,
                index=None,
                key="lab_axis",
                format_func=lambda name: axis_title(name, words.language()),
                placeholder=t("labpage.new.axis_none"),
            )
        values: str | list[str] = ""
        with right:
            offered = _offered(axis)
            if offered:
                values = st.multiselect(t("labpage.new.values"), offered, key=f"lab_values_{axis}")
            elif axis:
                values = str(st.text_input(t("labpage.new.values"), key=f"lab_values_{axis}",
                                           help=t("labpage.new.list_help")))  # fmt: skip
        own = st.text_area(t("labpage.new.own"), key="lab_own", help=t("labpage.new.own_help"))
        slots = st.number_input(
            t("labpage.new.slots"), 0, 16, 0, key="lab_slots", help=t("labpage.new.slots_help")
        )
    return axis, values, str(own or ""), int(slots)


def _offered(axis: str | None) -> Sequence[str]:
    """Return what an axis can be, where that is a list; empty for numbers."""
    if axis == "model":
        return [
            entry.name for entry in state.services().models.list() if entry.installed and not entry.broken
        ]
    if axis == "draft":
        services = state.services()
        name = services.engines.name
        return [OFF, "simple", "mod", *(services.memory.drafters(name) if name else ())]
    return {"kv_type": get_args(KvType), "order": get_args(SamplerOrder)}.get(axis or "", ())


def further_values(axis: str, values: str | Sequence[str]) -> list[object]:
    """Return an axis's values as typed or chosen. Raises BadParameter when there are none."""
    if isinstance(values, str):
        whole = axis == "context" or (axis in BOUNDS and BOUNDS[axis].integer)
        return numbers(values, axis_title(axis, words.language()), int if whole else float)
    if not values:
        raise BadParameter(
            field=axis_title(axis, words.language()), value="–", allowed=t("labpage.new.values")
        )
    return list(values)


def form_study(
    title: str,
    sets: list[str],
    temperatures: str,
    lengths: str,
    each: int,
    seeds: int,
    outcomes: list[str],
    *,
    further: Mapping[str, list[object]] | None = None,
    own: str = "",
    slots: int | None = None,
) -> Study:
    """Return the study of the form. further: one more axis; own: prompts, one a line.

    Raises BadParameter or BadInput.
    """
    grid: dict[str, list[Any]] = {}
    base: dict[str, Any] = {}
    for axis, values in (
        ("temperature", numbers(temperatures, t("lab.axis.temperature"), float)),
        ("max_new_tokens", numbers(lengths, t("lab.axis.max_new_tokens"), int)),
    ):
        if len(values) > 1:
            grid[axis] = values
        else:
            base[axis] = values[0]
    grid |= further or {}
    name = title.strip() or t("labpage.new.name_default")
    return Study.from_dict(
        {
            "name": name,
            "title": name,
            "prompts": [f"{set_name}:{each}" for set_name in sets],
            "prompt": [prompt.to_dict() for prompt in own_prompts(own)],
            "slots": slots,
            "seeds": seeds,
            "outcomes": [outcome for outcome in outcomes if outcome in MEASURES],
            "base": base,
            "grid": grid,
        }
    )
