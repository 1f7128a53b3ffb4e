"""The engines of a study: chosen before its start, and how each of several fares while it runs."""

import streamlit as st

from twokeys.core.study.fleet import MOST_CORES, MOST_ENGINES, FleetSpec, MemberView
from twokeys.errors import BadParameter
from twokeys.ui import state, widgets, words
from twokeys.ui.format import escape
from twokeys.ui.words import t

KINDS = {"starting": "plain", "working": "", "lost": "warm", "refused": "warm"}
ADDRESS_EXAMPLE = "http://10.0.0.5:8080"


def choose(key: str, last: FleetSpec) -> FleetSpec | None:
    """Draw the choice of what writes; return it, or None while it is not complete.

    key: of the widgets, one a place. last: what wrote before.
    """
    names = ["chat", "servers", *(["ray"] if state.services().has_ray() else [])]
    usual = "ray" if last.ray and "ray" in names else "servers" if last.servers else "chat"
    way = st.segmented_control(
        t("labpage.engines.where"), names, key=f"lab_where_{key}", default=usual, required=True,
        format_func={name: t(f"labpage.engines.{name}") for name in names}.__getitem__,
    )  # fmt: skip
    if way == "servers":
        return _servers(key, last)
    if way == "ray":
        return _ray(key, last)
    return FleetSpec()


def _servers(key: str, last: FleetSpec) -> FleetSpec | None:
    known = [url for url in state.services().known_servers() if url not in last.servers]
    chosen: list[str] = []
    if known:
        chosen = st.multiselect(t("labpage.engines.known"), known, key=f"lab_known_{key}")
    typed = st.text_area(
        t("labpage.engines.addresses"), "\n".join(last.servers), key=f"lab_servers_{key}",
        placeholder=ADDRESS_EXAMPLE, help=t("labpage.engines.addresses_help"), height=104,
    )  # fmt: skip
    listed = str(typed or "").replace(",", " ").split()
    urls = tuple(dict.fromkeys(url.rstrip("/") for url in (*chosen, *listed)))
    wrong = next((url for url in urls if not url.startswith(("http://", "https://"))), None)
    if wrong is not None:
        error = BadParameter(field=t("labpage.engines.addresses"), value=wrong, allowed=ADDRESS_EXAMPLE)
        widgets.error(error)
        return None
    widgets.note(t("labpage.engines.servers_note"))
    return FleetSpec(urls) if urls else None


def _ray(key: str, last: FleetSpec) -> FleetSpec | None:
    left, middle, right, end = st.columns([2, 1, 1, 1], gap="medium")
    with left:
        address = st.text_input(t("labpage.engines.ray_address"), last.ray or "local",
                                key=f"lab_ray_{key}", help=t("labpage.engines.ray_help"))  # fmt: skip
    with middle:
        workers = st.number_input(
            t("labpage.engines.workers"), 1, MOST_ENGINES, last.workers or 2, key=f"lab_workers_{key}"
        )
    with right:
        cpus = st.number_input(
            t("labpage.engines.cpus"), 0, MOST_CORES, int(last.cpus), key=f"lab_cpus_{key}"
        )
    with end:
        gpus = st.number_input(
            t("labpage.engines.gpus"), 0, MOST_CORES, int(last.gpus), key=f"lab_gpus_{key}"
        )
    widgets.note(t("labpage.engines.ray_note"))
    if not address.strip():
        return None
    return FleetSpec(ray=address.strip(), workers=int(workers), cpus=float(cpus), gpus=float(gpus))


def fleet(members: tuple[MemberView, ...]) -> str:
    """Return the markup of a run's engines: state and answers a minute of each; "" where one writes."""
    if not members:
        return ""
    return f'<ul class="lab-fleet">{"".join(_member(member) for member in members)}</ul>'


def _member(member: MemberView) -> str:
    answers = t("labpage.engines.answers", count=member.rows)
    rate = member.rows_per_minute
    speed = "" if rate is None else t("labpage.engines.a_minute", count=f"{rate:.1f}")
    facts = member.facts or {}
    known = " · ".join(str(facts[name]) for name in ("model", "build", "device") if facts.get(name))
    error = "" if member.error is None else words.error_text(member.error)[0]
    return (
        f"<li><b>{escape(member.name)}</b>"
        f"{widgets.tag(t(f'labpage.engines.state.{member.state}'), KINDS[member.state])}"
        f"<span>{escape(answers)}</span><span>{escape(speed)}</span>"
        + (f"<small>{escape(known)}</small>" if known else "")
        + (f'<small class="wrong">{escape(error)}</small>' if error else "")
        + "</li>"
    )
