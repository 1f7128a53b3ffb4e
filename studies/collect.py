"""Make the package's table of claims from the raw data in studies/results.

    python studies/collect.py          writes src/twokeys/core/study/claims.json and the reports anew

Each folder of studies/results holds one model's runs, written by
`twokeys study run --shipped claims --model NAME --results studies/results/NAME`.
"""

import json
from pathlib import Path

from twokeys.core.study.claim_rules import examine
from twokeys.reports.archive import read_group, write_reports

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "src" / "twokeys" / "core" / "study" / "claims.json"


def main() -> None:
    """Examine every model's raw data, which stays as it is; models in the order of their names."""
    rows = []
    for folder in sorted(path for path in (HERE / "results").iterdir() if path.is_dir()):
        studies = read_group(folder)
        found = examine(studies)
        write_reports(folder, studies, found, f"twokeys study run --shipped claims --model {folder.name}")
        rows += [one.to_dict() for one in found]
    text = json.dumps({"claims": rows}, ensure_ascii=False, indent=1)
    TABLE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
