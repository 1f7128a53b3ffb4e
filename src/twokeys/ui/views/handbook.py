"""The handbook: what the two keys are, with the evidence beside every claim and examples to try."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from twokeys import handbook
from twokeys.core.compare.column import temperature_columns
from twokeys.core.study.claims import ClaimResult, claim_text, known_claims
from twokeys.core.study.forms import known_forms
from twokeys.core.study.papers import BY_NAME as PAPERS_BY_NAME
from twokeys.core.study.papers import known_papers
from twokeys.handbook import Chapter, Claim, Example, Finding, Forms, Prose, Thermometer
from twokeys.types import Sampling, Settings
from twokeys.ui import drafts, navigation, state, widgets, words
from twokeys.ui.compare import draft as compare_draft
from twokeys.ui.format import escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.web.component.lens import thermometer


def draw(pages: Pages) -> None:
    """Draw the chosen chapter under the list of all."""
    widgets.page_heading(t("handbook.title"), t("handbook.lead"))
    chapters = {chapter.name: chapter for chapter in handbook.load(words.language())}
    wanted = st.query_params.get("chapter", "")
    name = wanted if wanted in chapters else next(iter(chapters))
    state.show_value("handbook_chapter", name)
    chosen = st.pills(
        t("handbook.contents"),
        list(chapters),
        format_func=lambda number: chapters[number].title,
        key="handbook_chapter",
        required=True,
        on_change=_opened,
        label_visibility="collapsed",
    )
    _chapter(chapters[str(chosen or name)], pages)


def _opened() -> None:
    st.query_params["chapter"] = str(state.value_of("handbook_chapter"))


def _chapter(chapter: Chapter, pages: Pages) -> None:
    rows = known_claims(state.services().lab.claims())
    with st.container(key="handbook"):
        widgets.html(f'<h2 class="tk-chapter">{escape(chapter.title)}</h2>')
        for number, block in enumerate(chapter.blocks):
            match block:
                case Prose(text):
                    st.markdown(text)
                case Thermometer():
                    _thermometer()
                case Claim(name):
                    _claim(name, rows)
                case Finding(name):
                    _finding(name)
                case Forms():
                    _forms()
                case Example():
                    _example(block, f"{chapter.name}_{number}")
        if any(isinstance(block, Claim | Finding) for block in chapter.blocks):
            st.page_link(
                pages["lab"],
                label=t("handbook.status.to_lab"),
                query_params={**navigation.address(), "view": "claims"},
                icon=":material/science:",
            )


def _thermometer() -> None:
    sample = handbook.load_sample(words.language())
    with st.container(key="card_thermometer"):
        thermometer(
            sample.candidates,
            sampling=Sampling(temperature=0.7, top_k=0, top_p=1.0, order="transformers"),
            language=words.language(),
            key=f"handbook_thermometer_{words.language()}",
            written=0,
        )
        widgets.note(t("handbook.thermometer.from_model", model=sample.model))


def _claim(name: str, rows: Sequence[ClaimResult]) -> None:
    language = words.language()
    lines = _status_lines(handbook.status_lines(name, language, rows))
    widgets.html(
        f'<section class="tk-claim" aria-label="{name}"><h3><span>{name}</span>'
        f"{escape(claim_text(name, language))}</h3>{lines}"
        f'<p class="tk-note">{escape(t(f"lab.claim.{name}.scope"))}</p></section>'
    )


def _finding(name: str) -> None:
    language = words.language()
    title = escape(PAPERS_BY_NAME[name].title(language))
    lines = _status_lines(handbook.paper_lines(name, language, known_papers(state.services().lab.papers())))
    widgets.html(f'<section class="tk-claim" aria-label="{title}"><h3>{title}</h3>{lines}</section>')


def _status_lines(lines: Sequence[tuple[str, str, str]]) -> str:
    """Return the markup of what is known: status, sentence, where from."""
    parts = []
    for status, sentence, source in lines:
        kind = "plain" if status == t("handbook.status.claimed") else ""
        where = f' <span class="tk-under">{escape(source)}</span>' if source else ""
        parts.append(f"<p>{widgets.tag(status, kind)} {escape(sentence)}{where}</p>")
    return "".join(parts)


def _forms() -> None:
    rows = known_forms(state.services().lab.forms())
    parts = []
    for status, sentences, source in handbook.form_lines(words.language(), rows):
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        where = f'<span class="tk-under">{escape(source)}</span>'
        parts.append(f"<p>{widgets.tag(status)} {where}</p><ul>{items}</ul>")
    title = escape(t("lab.forms.title"))
    widgets.html(
        f'<section class="tk-claim" aria-label="{title}"><h3>{title}</h3>{"".join(parts)}'
        f'<p class="tk-note">{escape(t("lab.forms.scope"))}</p></section>'
    )


def _example(example: Example, key: str) -> None:
    with st.container(key=f"card_try_{key}"):
        widgets.html(f'<p class="tk-try">{escape(example.prompt)}</p>')
        if example.place == "chat":
            label = t("handbook.try.chat", temperature=f"{example.temperatures[0]:g}", tokens=example.tokens)
        else:
            listed = " / ".join(f"{temperature:g}" for temperature in example.temperatures)
            label = t("handbook.try.compare", temperatures=listed)
        icon = ":material/chat:" if example.place == "chat" else ":material/view_column:"
        st.button(label, key=f"try_{key}", icon=icon, on_click=_set_up, args=(example,))


def _set_up(example: Example) -> None:
    """Open the example where it is to be tried; nothing is sent."""
    sampling = Sampling()
    if example.place == "chat":
        sampling = sampling.with_(temperature=example.temperatures[0], max_new_tokens=example.tokens)
        started = state.services().conversations.new(replace(Settings(), sampling=sampling))
        drafts.put_back(example.prompt)
        drafts.see(started.id, example.prompt)
        navigation.go_to("chat", c=started.id)
        return
    columns = temperature_columns(sampling.with_(max_new_tokens=1024), example.temperatures)
    compare_draft.take_over(columns, example.prompt)
    navigation.go_to("compare")
