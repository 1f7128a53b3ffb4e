"""The memory page: the plan as a bar that follows every choice, what fits here, and what it costs.

It computes before anything is allocated; nothing here loads a model.
"""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from twokeys.core.memory.choose import CONTEXTS
from twokeys.core.memory.eager import WEIGHTS_GIB, eager_peak_bytes
from twokeys.core.memory.overrides import KV_TYPES, LOAD_MODES, NO_OVERRIDES, Overrides
from twokeys.core.memory.plan import (
    SMALLEST_CONTEXT,
    USUAL_PROMPT_TOKENS,
    MemoryPlan,
    StartChoice,
    memory_needs,
    plan_memory,
)
from twokeys.core.recovery import ran_out
from twokeys.errors import TwoKeysError
from twokeys.types import WorkerSpec
from twokeys.ui import memory_bar, navigation, notices, recovery_steps, state, widgets
from twokeys.ui.format import count_text, escape
from twokeys.ui.pages import Pages
from twokeys.ui.words import t
from twokeys.units import bytes_text, memory_text

REDRAW_S = 5
SLIDER_CONTEXTS = (512, 1024, 2048, 3072, *reversed(CONTEXTS), 12288, 16384, 24576, 32768, 65536, 131072)
LENGTHS = (512, 1024, 1536, 2048, 3072, 3584, 4096, 6144, 8192)
SEVEN = "qwen2.5-7b"
CLAIM_GB = (6.2, 9.8)
"""The article's memory for lengths 2048 and 4096, in GB (C3)."""
RECOVER_SETTING = "memory.recover"


def draw(pages: Pages) -> None:
    """Draw the page."""
    widgets.page_heading(t("memory.title"), t("memory.lead"))
    with st.container(key="card_plan"):
        _plan_card()
    _models()
    with st.container(key="card_cost"):
        _cost()
    with st.container(key="card_eager"):
        _eager()
    with st.container(key="card_recovery"):
        _recovery()
    with st.container(key="card_overrides"):
        _overrides()


# --- the plan -------------------------------------------------------------------------------------------


@st.fragment(run_every=REDRAW_S)
def _plan_card() -> None:
    services = state.services()
    names, now = _names()
    if not names:
        widgets.note(t("memory.plan.no_model"))
        return
    place = st.container()
    name = _choose_model(names, now)
    try:
        shape = services.memory.shape(name)
    except TwoKeysError as error:
        widgets.error(error)
        return
    start = now if now is not None and name == now.model_path else None
    contexts = [c for c in SLIDER_CONTEXTS if c < shape.train_context] + [shape.train_context]
    if start is not None and start.context not in contexts:
        contexts = sorted({*contexts, start.context})
    _default("memory_context", start.context if start else min(8192, shape.train_context), contexts)
    _default("memory_kv", start.kv_type if start else "f16", KV_TYPES)
    _default("memory_length", 2048, LENGTHS)
    left, right = st.columns(2, gap="medium")
    with left:
        context = st.select_slider(
            t("memory.plan.context"), contexts, key="memory_context", format_func=count_text
        )
    with right:
        length = st.select_slider(
            t("memory.plan.length"), LENGTHS, key="memory_length", format_func=count_text
        )
    kv_type = st.segmented_control(t("memory.plan.kv"), KV_TYPES, key="memory_kv", required=True)
    base = services.memory.choose(name).choice
    choice = replace(base, context=int(context), kv_type=kv_type or "f16")
    if start is not None:
        choice = replace(choice, parallel=start.parallel, gpu_layers=start.gpu_layers)
    available = services.memory.available()
    limit = services.memory.overrides(shape.name).limit_bytes
    plan = plan_memory(shape, choice, available.room(limit_bytes=limit))
    with place:
        widgets.html(memory_bar.plan_bar(plan, available, int(length)) + _verdict(plan, int(length)))
    if start is not None and (start.context, start.kv_type) != (choice.context, choice.kv_type):
        st.button(
            t("memory.plan.use"),
            key="memory_use",
            type="primary",
            icon=":material/check:",
            on_click=_use,
            args=(choice,),
        )


def _names() -> tuple[list[str], WorkerSpec | None]:
    """Return the models to choose from (a name or a path), and how the present one is started."""
    services = state.services()
    answering = services.engines.expected()
    now = answering.spec if answering is not None else None
    names = [entry.name for entry in services.models.list() if not entry.broken]
    if now is not None:
        names = [now.model_path, *(name for name in names if name != now.model_name)]
    return names, now


def _choose_model(names: list[str], now: WorkerSpec | None) -> str:
    _default("memory_model", names[0], names)

    def shown(name: str) -> str:
        return now.model_name if now is not None and name == now.model_path else name

    left, right = st.columns(2, gap="medium")
    with left:
        name = st.selectbox(t("memory.plan.model"), names, key="memory_model", format_func=shown) or names[0]
    sizes = _sizes(shown(name))
    if len(sizes) < 2:
        return name
    usual = shown(name) if shown(name) in sizes else next(iter(sizes))
    with right:
        _default("memory_quantisation", usual, sizes)
        if not str(state.value_of("memory_quantisation")).startswith(shown(name).partition(":")[0]):
            state.show_value("memory_quantisation", usual)
        chosen = st.selectbox(
            t("memory.plan.quantisation"),
            list(sizes),
            key="memory_quantisation",
            format_func=lambda model: f"{sizes[model][0].upper()} · {bytes_text(sizes[model][1])}",
        )
    return name if chosen is None or chosen == shown(name) else chosen


def _sizes(name: str) -> dict[str, tuple[str, int]]:
    """Return the quantisations of a catalogue model: name → (quantisation, bytes), smallest first."""
    return {row.name: (row.quantisation, row.bytes) for row in state.services().models.variants(name)}


def _verdict(plan: MemoryPlan, length: int) -> str:
    numbers = {"need": memory_text(plan.needs.total_bytes), "room": memory_text(plan.available_bytes)}
    kind = "fits" if plan.fits else "tight" if plan.possible else "too_much"
    lines = [f'<p class="tk-verdict {kind}">{escape(t(f"memory.verdict.{kind}", **numbers))}</p>']
    if plan.safe_context:
        safe = {"context": count_text(plan.safe_context), "length": count_text(plan.safe_max_new_tokens)}
        lines.append(f'<p class="tk-note">{escape(t("memory.verdict.safe", **safe))}</p>')
    room = plan.choice.context - length
    key = "memory.verdict.prompt" if room >= USUAL_PROMPT_TOKENS else "memory.verdict.prompt_short"
    sentence = t(key, length=count_text(length), prompt=count_text(max(0, room)))
    lines.append(f'<p class="tk-note">{escape(sentence)}</p>')
    return "".join(lines)


def _use(choice: StartChoice) -> None:
    services = state.services()
    answering = services.engines.expected()
    if answering is None or answering.spec is None:
        return
    decided = services.memory.overrides(answering.model)
    _decide(replace(decided, context=choice.context, kv_type=choice.kv_type))


def _decide(overrides: Overrides) -> None:
    try:
        state.services().decide_memory(overrides)
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        notices.tell(notices.Notice(t("memory.decided")))


def _default(key: str, value: object, allowed: object) -> None:
    """Give a widget its first value, and another when what it holds is no longer on offer."""
    held = state.value_of(key)
    if held is None or (hasattr(allowed, "__contains__") and held not in allowed):
        state.show_value(key, value)


# --- which models fit ------------------------------------------------------------------------------------


def _models() -> None:
    widgets.section(t("memory.models.title"))
    rows = []
    for row in state.services().memory.table():
        plan = row.plan
        fit = widgets.tag(t("memory.models.fits")) if plan.fits else ""
        if not plan.fits:
            fit = widgets.tag(
                t("memory.models.tight" if plan.possible else "memory.models.too_large"), "warm"
            )
        here = f' <span class="tk-under">{escape(t("memory.models.here"))}</span>' if row.installed else ""
        start = f"{count_text(plan.choice.context)} · {plan.choice.kv_type}" if plan.possible else "–"
        rows.append(
            f"<tr><th scope='row'>{escape(row.name)}{here}</th><td>{fit}</td><td>{escape(start)}</td>"
            f"<td>{escape(memory_text(plan.needs.total_bytes))}</td>"
            f"<td>{count_text(plan.safe_context) if plan.safe_context else '–'}</td></tr>"
        )
    heads = "".join(
        f"<th scope='col'>{escape(t(f'memory.models.{name}'))}</th>"
        for name in ("name", "verdict", "start", "memory", "safe")
    )
    widgets.html(
        f'<div class="tk-fit" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        f'<p class="tk-note">{escape(t("memory.models.note"))}</p></div>'
    )


# --- what 2048 → 4096 costs ---------------------------------------------------------------------------------


def _cost() -> None:
    shape = state.services().memory.shape(SEVEN)
    short, long = (memory_needs(shape, StartChoice(context=context)) for context in (2048, 4096))
    added = long.total_bytes - short.total_bytes
    low, high = CLAIM_GB
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("memory.cost.title"))}</h3>'
        f'<div class="tk-versus"><div><b>+{escape(memory_text(added))}</b>'
        f"<span>{escape(t('memory.cost.ours'))}</span></div>"
        f"<div class='claim'><b>{low:g} → {high:g} GB</b><span>{escape(t('memory.cost.claim'))}</span></div>"
        f"</div><p>{escape(t('memory.cost.text'))}</p></div>"
    )


def _eager() -> None:
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("memory.eager.title"))}</h3>'
        f"<p>{escape(t('memory.eager.text'))}</p></div>"
    )
    _default("memory_eager_weights", "bf16", WEIGHTS_GIB)
    _default("memory_eager_prompt", 6144, None)
    weights = st.segmented_control(
        t("memory.eager.weights"),
        list(WEIGHTS_GIB),
        key="memory_eager_weights",
        required=True,
        format_func={
            "bf16": "BF16",
            "gptq-int8": "GPTQ-Int8",
            "gptq-int4": "GPTQ-Int4",
            "awq": "AWQ",
        }.__getitem__,
    )
    left, right = st.columns(2, gap="medium")
    with left:
        prompt = st.slider(t("memory.eager.prompt"), 0, 32768, step=512, key="memory_eager_prompt")
    with right:
        _default("memory_eager_new", 2048, None)
        new = st.slider(t("memory.eager.new"), 0, 8192, step=256, key="memory_eager_new")
    peak = eager_peak_bytes(weights or "bf16", prompt, new)
    base = eager_peak_bytes(weights or "bf16", 0, 0)
    more_prompt = eager_peak_bytes(weights or "bf16", prompt + 2048, new) - peak
    more_answer = eager_peak_bytes(weights or "bf16", prompt, new + 2048) - peak
    parts = [memory_bar.Segment("weights", base), memory_bar.Segment("prompt", peak - base)]
    sentence = t(
        "memory.eager.result",
        prompt=memory_text(more_prompt),
        answer=memory_text(more_answer) if more_answer else "0",
    )
    widgets.html(
        memory_bar.stacked_bar(parts, max(24 << 30, peak), t("memory.eager.bar"))
        + f'<p class="tk-note">{escape(sentence)}</p>'
    )


# --- recovery and settings --------------------------------------------------------------------------------


def _recovery() -> None:
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("memory.steps.title"))}</h3>'
        f"<p>{escape(t('memory.steps.lead'))}</p></div>"
    )
    conversation = navigation.conversation()
    last = state.services().conversations.messages(conversation.id, limit=1)
    answer = last[-1].id if last and last[-1].role == "assistant" and ran_out(last[-1]) else None
    recovery_steps.draw(conversation.id, answer, place="page")
    _default("memory_recover", state.services().repository.get_setting(RECOVER_SETTING) or "ask", None)
    st.segmented_control(
        t("memory.steps.mode"),
        ["ask", "auto"],
        key="memory_recover",
        required=True,
        format_func={"ask": t("memory.steps.ask"), "auto": t("memory.steps.auto")}.__getitem__,
        on_change=_mode_changed,
    )


def _mode_changed() -> None:
    state.services().repository.set_setting(RECOVER_SETTING, state.value_of("memory_recover") or "ask")


def _overrides() -> None:
    widgets.html(
        f'<div class="tk-card"><h3>{escape(t("memory.own.title"))}</h3>'
        f"<p>{escape(t('memory.own.lead'))}</p></div>"
    )
    services = state.services()
    answering = services.engines.expected()
    if answering is None or answering.spec is None:
        widgets.note(t("memory.own.remote"))
        return
    held = services.memory.overrides(answering.model)
    auto = t("memory.own.auto")
    with st.form("memory_own", border=False):
        left, two, three = st.columns(3, gap="medium")
        with left:
            context = _number("context", held.context, SMALLEST_CONTEXT, 1 << 20, 256, auto)
            parallel = _number("parallel", held.parallel, 1, 32, 1, auto)
            threads = _number("threads", held.threads, 1, 1024, 1, auto)
        with two:
            kv_type = _pick("kv_type", held.kv_type, KV_TYPES, auto)
            layers = _number("gpu_layers", held.gpu_layers, -1, 1024, 1, auto)
            load_mode = _pick("load_mode", held.load_mode, LOAD_MODES, auto)
        with three:
            limit = _number("limit_mib", held.limit_mib, 64, 1 << 24, 256, auto)
            cache = _number("prompt_cache_mib", held.prompt_cache_mib, 0, 1 << 20, 64, "0")
            drafters = ("simple", "mod", *services.memory.drafters(answering.spec.model_path))
            drafters = drafters if held.draft in (None, *drafters) else (*drafters, str(held.draft))
            draft = _pick("draft", held.draft, drafters, auto, _drafter_text)
        saved = st.form_submit_button(t("memory.own.save"), key="memory_own_save", type="primary")
    if saved:
        try:
            decided = Overrides(context, kv_type, layers, cache, threads, parallel, limit, load_mode, draft)  # type: ignore[arg-type]
        except TwoKeysError as error:
            widgets.error(error)
            return
        _decide(decided)
        st.rerun()
    if held:
        st.button(
            t("memory.own.reset"),
            key="memory_own_reset",
            icon=":material/restart_alt:",
            on_click=_decide,
            args=(NO_OVERRIDES,),
        )
    _try_threads()
    _try_draft(answering.spec.model_path)


def _try_threads() -> None:
    """Offer a short trial of numbers of threads; the fastest stays."""
    widgets.note(t("memory.threads.lead"))
    if not st.button(t("memory.threads.button"), key="memory_threads_try", icon=":material/speed:"):
        return
    try:
        with st.spinner(t("drafts.trial.running")):
            trial = state.services().try_threads()
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        speeds = t("memory.threads.between").join(
            t("memory.threads.speed", threads=threads, speed=f"{speed:.1f}")
            for threads, speed in sorted(trial.tok_per_s.items())
        )
        outcome = "kept" if trial.best == trial.used else "changed"
        notices.tell(notices.Notice(t(f"memory.threads.{outcome}", threads=trial.best, speeds=speeds)))
    st.rerun()


def _try_draft(model_path: str) -> None:
    """Offer a short trial of speculative decoding; what is faster stays."""
    services = state.services()
    widgets.note(t("drafts.trial.lead"))
    left, right = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    with left:
        name = st.selectbox(
            t("drafts.label"),
            ("simple", "mod", *services.memory.drafters(model_path)),
            key="memory_draft_trial",
            format_func=_drafter_text,
        )
    with right:
        pressed = st.button(t("drafts.trial.button"), key="memory_draft_try", icon=":material/speed:")
    if not pressed:
        return
    try:
        with st.spinner(t("drafts.trial.running")):
            trial = services.try_draft(str(name))
    except TwoKeysError as error:
        notices.tell_error(error)
    else:
        text = t(
            "drafts.trial.faster" if trial.faster else "drafts.trial.slower",
            gain=f"{trial.gain:.1f}",
            without=f"{trial.without_tok_per_s:.1f}",
            with_=f"{trial.with_tok_per_s:.1f}",
            accepted=f"{trial.accepted:.0%}",
        )
        notices.tell(notices.Notice(text))
        state.renew("memory_own_draft")  # the form shows what is kept now
    st.rerun()


def _number(name: str, value: int | None, low: int, high: int, step: int, auto: str) -> int | None:
    typed = st.number_input(
        t(f"memory.own.{name}"),
        low,
        high,
        value,
        step,
        key=f"memory_own_{name}",
        placeholder=auto,
        help=t(f"memory.own.{name}_help"),
    )
    return None if typed is None else int(typed)


def _drafter_text(name: str) -> str:
    return t(f"drafts.option.{name}") if name in ("simple", "mod") else name


def _pick(
    name: str, value: str | None, allowed: tuple[str, ...], auto: str, shown: Callable[[str], str] = str
) -> str | None:
    return st.selectbox(
        t(f"memory.own.{name}"),
        allowed,
        index=None if value is None else allowed.index(value),
        key=state.key_of(f"memory_own_{name}"),
        format_func=shown,
        placeholder=auto,
        help=t(f"memory.own.{name}_help"),
    )
