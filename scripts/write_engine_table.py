"""Write the decision table of docs/engines.md from the machines of tests/builds/machines.toml.

python scripts/write_engine_table.py
"""

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENT = CHECKOUT / "docs" / "engines.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)

if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))
    from tests.builds.machines import decision_table

    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(TABLE.sub(lambda _: decision_table(), text), encoding="utf-8")
