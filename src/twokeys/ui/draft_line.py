"""What became of speculative decoding in an answer, in one sentence. Draws nothing."""

from twokeys.types import Provenance
from twokeys.ui.words import t


def describe(provenance: Provenance) -> str:
    """Return what was drafted and accepted, or why nothing was drafted; "" where nobody asked for it."""
    draft = provenance.draft
    if not draft:
        return ""
    name, reason = draft.get("name", ""), draft.get("reason", "")
    if name == "off":
        return t(f"drafts.detail.{reason}") if reason in ("seed", "probabilities") else ""
    shown = t(f"drafts.option.{name}") if name in ("simple", "mod") else name
    counts = provenance.drafted
    if not counts:
        return t("drafts.detail.nothing", name=shown)
    drafted, accepted = counts["draft_tokens"], counts["draft_accepted"]
    steps = max(1, (provenance.completion_tokens or 0) - accepted)
    return t(
        "drafts.detail.counts",
        name=shown,
        drafted=drafted,
        accepted=accepted,
        share=f"{accepted / drafted:.0%}",
        per_step=f"{(provenance.completion_tokens or 0) / steps:.1f}",
    )
