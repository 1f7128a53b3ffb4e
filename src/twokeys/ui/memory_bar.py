"""The stacked bar of memory: what a plan would hold beside what others hold. Markup only."""

from dataclasses import dataclass

from twokeys.core.memory.available import Available
from twokeys.core.memory.plan import MemoryPlan, Parts
from twokeys.ui.format import escape
from twokeys.ui.words import t
from twokeys.units import memory_text


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a bar; name: a key of the texts `memory.part.` and of the style sheet.

    whole: what is told instead, where the part after it belongs to it.
    """

    name: str
    bytes: int
    whole: int = 0

    @property
    def size_text(self) -> str:
        return memory_text(self.whole or self.bytes)


def plan_bar(plan: MemoryPlan, available: Available, answer: int = 0) -> str:
    """Return the host's bar, and the graphics card's when the plan uses one.

    answer: tokens of the KV cache that the next answer may take; they are shown as a part of their own.
    """
    slots = plan.choice.context * plan.choice.parallel
    share = min(answer, plan.choice.context) / slots if slots else 0.0
    host = plan.needs.host
    if plan.room.unified:
        host = _joined(plan.needs.host, plan.needs.device)
    bars = [
        stacked_bar(segments(host, available.other_bytes, share), available.total_bytes, t("memory.bar.host"))
    ]
    if plan.needs.device.total_bytes and available.devices and not plan.room.unified:
        others = sum(card.total_bytes - card.free_bytes - card.own_bytes for card in available.devices)
        total = sum(card.total_bytes for card in available.devices)
        bars.append(stacked_bar(segments(plan.needs.device, others, share), total, available.devices[0].name))
    return "".join(bars)


def segments(parts: Parts, others: int, answer: float = 0.0) -> list[Segment]:
    """Return a plan's parts and what other programs hold, without empty ones.

    answer: the share of the KV cache that the next answer may take, 0 … 1.
    """
    answer_bytes = round(parts.kv_bytes * answer)
    segments = (
        Segment("weights", parts.weights_bytes),
        Segment("repack", parts.repack_bytes),
        Segment("kv", parts.kv_bytes - answer_bytes, whole=parts.kv_bytes),
        Segment("answer", answer_bytes),
        Segment("compute", parts.compute_bytes),
        Segment("cache", parts.prompt_cache_bytes + parts.checkpoint_bytes),
        Segment("draft", parts.draft_bytes),
        Segment("process", parts.overhead_bytes),
        Segment("others", others),
    )
    return [segment for segment in segments if segment.bytes > 0]


def stacked_bar(parts: list[Segment], total: int, title: str) -> str:
    """Return one bar with its legend; it grows beyond the machine when the parts do."""
    used = sum(part.bytes for part in parts)
    scale = max(total, used, 1)
    over = used > total
    shown = parts if over else [*parts, Segment("free", total - used)]
    cells = "".join(
        f'<i class="tk-part-{part.name}" style="width:{part.bytes / scale:.2%}" '
        f'title="{escape(_label(part))}"></i>'
        for part in shown
    )
    legend = "".join(
        f'<span><i class="tk-part-{part.name}"></i>{escape(t(f"memory.part.{part.name}"))}'
        f"<b>{escape(part.size_text)}</b></span>"
        for part in shown
    )
    edge = f'<u style="left:{total / scale:.2%}"></u>' if over else ""
    spoken = "; ".join(_label(part) for part in shown)
    return (
        f'<div class="tk-stack-title"><span>{escape(title)}</span><b>{escape(memory_text(total))}</b></div>'
        f'<div class="tk-stack{" over" if over else ""}" role="img" aria-label="{escape(spoken)}">'
        f"{cells}{edge}</div>"
        f'<div class="tk-legend">{legend}</div>'
    )


def machine_meter(available: Available, worker_bytes: int) -> str:
    """Return the thin bar of the sidebar: the worker, the others, what is free."""
    total = max(available.total_bytes, 1)
    others = max(0, total - available.free_bytes - worker_bytes)
    label = t(
        "memory.meter.line" if worker_bytes else "memory.meter.idle",
        worker=memory_text(worker_bytes),
        free=memory_text(available.free_bytes),
        total=memory_text(total),
    )
    return (
        f'<div class="tk-stack thin" role="img" aria-label="{escape(label)}" title="{escape(label)}">'
        f'<i class="tk-part-weights" style="width:{worker_bytes / total:.2%}"></i>'
        f'<i class="tk-part-others" style="width:{others / total:.2%}"></i></div>'
    )


def _label(part: Segment) -> str:
    return f"{t(f'memory.part.{part.name}')} {part.size_text}"


def _joined(first: Parts, other: Parts) -> Parts:
    return Parts(*(getattr(first, name) + getattr(other, name) for name in Parts.__dataclass_fields__))
