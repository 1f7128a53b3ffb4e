"""The quality of the whole: figures, what is said twice, terms in two spellings, the closing pass."""

from typing import NamedTuple

import streamlit as st

from twokeys.core.writer.quality import Quality
from twokeys.core.writer.view import ProjectView, SectionView
from twokeys.ui import model_text, state, widgets, writing
from twokeys.ui.format import count_text, escape
from twokeys.ui.words import t

SHOWN = 20
LITTLE, MUCH = 0.05, 0.15
"""Shares of repeated n-grams: up to LITTLE a text hardly repeats itself. From MUCH on it is not enough to say
that no sentence is said twice."""
NEAR, FAR = (0.9, 1.15), (0.6, 1.6)
"""Length ÷ length asked that is as asked, and beyond which it is far off."""


class Light(NamedTuple):
    """A judgement in words. kind: "good", "warm" or "danger"."""

    kind: str
    text: str

    def markup(self) -> str:
        return f'<span class="wr-light wr-{self.kind}">{escape(self.text)}</span>'


def draw(view: ProjectView) -> None:
    """Draw the panel."""
    quality = state.services().writer.quality(view.id, view)
    _repeated(view, quality)
    _variants(view)
    _figures(view, quality)
    _closing(view)


def draw_so_far(view: ProjectView) -> None:
    """Say in one line how what is finished is; the page draws it anew after every section."""
    if not _done(view):
        return
    lights = _lights(view, state.services().writer.quality(view.id, view))
    if lights:
        words = "".join(light.markup() for light in lights)
        lead = f"<span>{escape(t('writing.quality.so_far'))}</span>"
        widgets.html(f'<p class="wr-progress wr-lights wr-so-far">{lead}{words}</p>')


def _lights(view: ProjectView, quality: Quality) -> list[Light]:
    """Judge length and repetition of the whole, or of the finished sections until it is complete."""
    whole = view.state == "done"
    asked, length = (quality.asked, quality.length) if whole else quality.length_of(_done(view))
    return [_length_light(length, asked), _repetition_light(quality.rep_n)] if length and asked else []


def _length_light(length: int, asked: int) -> Light:
    ratio = length / asked
    if NEAR[0] <= ratio <= NEAR[1]:
        return Light("good", t("writing.quality.light.as_asked"))
    kind = "warm" if FAR[0] <= ratio <= FAR[1] else "danger"
    return Light(kind, t(f"writing.quality.light.{'shorter' if ratio < 1 else 'longer'}"))


def _repetition_light(rep_n: float) -> Light:
    if rep_n < LITTLE:
        return Light("good", t("writing.quality.light.fresh"))
    if rep_n < MUCH:
        return Light("warm", t("writing.quality.light.some"))
    return Light("danger", t("writing.quality.light.circles"))


def _done(view: ProjectView) -> set[str]:
    return {section.node.id for section in view.sections if section.state == "done"}


def _score(view: ProjectView, quality: Quality) -> tuple[str, str]:
    """Name and figure of the length score: of the whole, or of the finished sections until it is complete."""
    if view.state == "done":
        return t("writing.quality.score"), f"{quality.score:.0f} / 100"
    score = quality.score_of(_done(view))
    return t("writing.quality.score_so_far"), f"{score:.0f} / 100" if score is not None else "–"


def _figures(view: ProjectView, quality: Quality) -> None:
    """Draw what the words above rest on: the whole's figures and those of each section, folded."""
    unit = t(f"writing.unit.{view.project.unit}")
    rows = [
        _score(view, quality),
        (t("writing.quality.length"), f"{count_text(quality.length)} / {count_text(quality.asked)} {unit}"),
        (t("writing.quality.rep", n=quality.n), f"{quality.rep_n:.1%}"),
    ]
    numbers = view.outline.numbers()
    titles = {node.id: node.title for node in view.outline.nodes}
    body = "".join(
        f"<tr><td>{escape(numbers[section.section])} {escape(titles[section.section])}</td>"
        f"<td>{section.length} / {section.asked}</td><td>{section.score:.0f}</td>"
        f"<td>{section.repeated:.1%}</td></tr>"
        for section in quality.sections
    )
    heads = "".join(
        f"<th>{escape(t(f'writing.quality.column.{name}'))}</th>"
        for name in ("section", "length", "score", "repeated")
    )
    with st.expander(t("writing.quality.figures"), icon=":material/bar_chart:", key="writing_by_section"):
        widgets.html(widgets.facts(rows, pairs=2))
        widgets.html(f'<div class="wr-table"><table><tr>{heads}</tr>{body}</table></div>')
        widgets.note(t("writing.quality.formula"))


def _repeated(view: ProjectView, quality: Quality) -> None:
    sentences = state.services().writer.repeated(view.id, view)
    widgets.section(t("writing.quality.repeated", count=len(sentences)))
    if not sentences:
        widgets.note(_no_sentence_repeats(view, quality))
    numbers = view.outline.numbers()
    for index, sentence in enumerate(sentences[:SHOWN]):
        with st.container(
            key=f"wr_repeated_{index}", horizontal=True, vertical_alignment="center", gap="small", wrap=False
        ):
            where = t(
                "writing.quality.where",
                here=numbers[sentence.place.section],
                before=numbers[sentence.before.section],
                percent=round(100 * sentence.similarity),
            )
            quote = f"<q>{escape(sentence.place.text)}</q><span>{escape(where)}</span>"
            widgets.html(f'<div class="wr-finding">{quote}</div>')
            st.button(
                t("writing.quality.show"),
                key=f"wr_show_{index}",
                type="tertiary",
                on_click=_show,
                args=(view.id, sentence.place.section),
            )
            if st.button(
                t("writing.quality.take_out"),
                key=f"wr_take_out_{index}",
                type="tertiary",
                disabled=view.active,
            ):
                writing.attempt(state.services().writer.drop_passage, view.id, sentence.place)


def _no_sentence_repeats(view: ProjectView, quality: Quality) -> str:
    """Say so; and what repeats all the same, within sentences, where the figure above is high."""
    if quality.rep_n < MUCH:
        return t("writing.quality.repeated_none")
    numbers = view.outline.numbers()
    sections = [numbers[row.section] for row in quality.sections if max(row.inner, row.repeated) >= MUCH]
    return t(
        "writing.quality.repeated_within",
        n=quality.n,
        percent=f"{quality.rep_n:.0%}",
        sections=", ".join(sections) or "–",
    )


def _show(project_id: str, node_id: str) -> None:
    """Open a section's text."""
    state.show_value(f"writing_tab_{project_id}", "text")
    writing.OPEN_SECTION.set(node_id)


def _variants(view: ProjectView) -> None:
    all_variants = state.services().writer.variants(view.id)
    widgets.section(t("writing.quality.variants", count=len(all_variants)))
    if not all_variants:
        widgets.note(t("writing.quality.variants_none"))
    for index, variants in enumerate(all_variants[:SHOWN]):
        with st.container(
            key=f"wr_variants_{index}", horizontal=True, vertical_alignment="center", gap="small", wrap=True
        ):
            for place, (spelling, count, _where) in enumerate(variants.spellings):
                if st.button(
                    t("writing.quality.use_spelling", spelling=spelling, count=count),
                    key=f"wr_spelling_{index}_{place}",
                    help=t("writing.quality.use_spelling_help", spelling=spelling),
                    disabled=view.active,
                ):
                    writing.attempt(state.services().writer.unify, view.id, variants, spelling)


def _closing(view: ProjectView) -> None:
    writer = state.services().writer
    widgets.section(t("writing.quality.closing"))
    widgets.note(t("writing.quality.closing_note"))
    done = sum(bool(section.text.strip()) and section.state != "skipped" for section in view.sections)
    with st.container(horizontal=True, key="writing_closing", gap="small", wrap=True):
        if st.button(
            t("writing.quality.transitions"),
            key="writing_transitions",
            icon=":material/conversion_path:",
            disabled=done < 2,
        ):
            writing.attempt(writer.closing_pass, view.id)
        if st.button(
            t("writing.quality.abstract"),
            key="writing_abstract",
            icon=":material/short_text:",
            disabled=not done,
        ):
            writing.attempt(writer.work, view.id, "abstract", "abstract")
        if st.button(
            t("writing.quality.glossary"),
            key="writing_glossary",
            icon=":material/dictionary:",
            disabled=not done,
        ):
            writing.attempt(writer.work, view.id, "glossary", "glossary")
    for name in ("abstract", "glossary"):
        extra = view.extras.get(name)
        if extra is not None:
            _extra(view, name, extra)


def _extra(view: ProjectView, name: str, extra: SectionView) -> None:
    widgets.html(f'<div class="wr-chapter">{escape(t(f"writing.quality.{name}"))}</div>')
    if extra.state in ("writing", "queued"):
        widgets.note(t(f"writing.section.{extra.state}"))
    elif extra.text:
        with st.container(key=f"writing_{name}_text"):
            model_text.draw(extra.text)
