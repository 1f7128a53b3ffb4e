"""Make what the package says of claims, papers and temperatures from the raw data in studies/results.

    python studies/collect.py     writes claims.json and forms.json of src/twokeys/core/study, the reports,
                                  and the table of claims in docs/lab.md

Each folder of studies/results holds one model's runs, written by
`twokeys study run --shipped claims --model NAME --results studies/results/NAME`, the same
with `paper` or `structured` for `claims`.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from twokeys.core.study.claim_rules import examine
from twokeys.core.study.claims import CLAIMS, ClaimResult, claim_text
from twokeys.core.study.forms import STUDY, examine_forms
from twokeys.core.study.study import shipped_studies
from twokeys.reports.archive import group_rows, read_group, write_reports

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "twokeys" / "core" / "study"
DOCUMENT = HERE.parent / "docs" / "lab.md"
BEGIN, END = "<!-- claims: python studies/collect.py -->", "<!-- end of claims -->"


def main() -> None:
    """Examine every model's raw data, which stays as it is; models in the order of their names."""
    rows: dict[str, list[dict[str, object]]] = {}
    claims: list[ClaimResult] = []
    forms = []
    for folder in sorted(path for path in (HERE / "results").iterdir() if path.is_dir()):
        studies = read_group(folder)
        of_model = worth_telling(examine(studies), studies)
        write_reports(folder, studies, of_model, f"twokeys study run --shipped claims --model {folder.name}")
        claims += of_model
        for name, made in group_rows(studies, of_model).items():
            rows.setdefault(name, []).extend(made)
        if STUDY in studies:
            forms += [finding.to_dict() for finding in examine_forms(studies[STUDY])]
    for name, values in (("claims", rows), ("forms", {"forms": forms})):
        text = json.dumps(values, ensure_ascii=False, indent=1)
        (PACKAGE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}{claims_table(claims)}{END}{after}", encoding="utf-8")


def worth_telling(claims: Sequence[ClaimResult], studies: Collection[str]) -> tuple[ClaimResult, ...]:
    """Return the claims of a model that were examined; all of them where all studies were run."""
    everything = all(name in studies for name in shipped_studies() if name.startswith("claims-"))
    return tuple(row for row in claims if everything or row.answers)


def claims_table(claims: Sequence[ClaimResult]) -> str:
    """Return the claims with each model's verdict, its reason, and what would decide it where it is open."""
    lines = [
        "",
        "| claim | model | verdict | why | what would decide it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in CLAIMS:
        for place, row in enumerate(row for row in claims if row.claim == name):
            decide = row.decided_by("en").partition(": ")[2]
            fields = (
                f"**{name}** {claim_text(name, 'en')}" if place == 0 else "",
                row.model,
                row.verdict_text("en"),
                row.sentence("en"),
                decide or "–",
            )
            lines.append("| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |")
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    main()
