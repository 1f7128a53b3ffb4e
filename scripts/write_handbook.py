"""Write docs/handbook.zh.md and docs/handbook.en.md from src/twokeys/handbook; run it after any change."""

from pathlib import Path

from twokeys.handbook import to_markdown

DOCS = Path(__file__).resolve().parent.parent / "docs"

for language in ("zh", "en"):
    (DOCS / f"handbook.{language}.md").write_text(to_markdown(language), encoding="utf-8")
