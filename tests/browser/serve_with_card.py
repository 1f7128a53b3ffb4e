"""The app on a machine with a made card, and a build for it in the index: `serve_with_card.py WHEEL`.

The build is fetched, unpacked, proven with a real model and used as any other. Made are the card, which the
survey finds, and how fast the build wrote, which nobody can tell of a card that is not there.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.builds.builds_at_hand import packaged

from twokeys import services
from twokeys.builds.manager import BuildManager
from twokeys.builds.proof import Proof, prove_build
from twokeys.builds.survey import Card, Survey
from twokeys.cli import main

CARD = Card("Made Card", "amd", "discrete", 8 << 30, vulkan=(1, 3))
TOKENS = 16
TOK_PER_S = 950.0


def prove(program: str, name: str, model: Path, folder: Path, *, on_card: bool, tokens: int) -> Proof:
    """Return what a build really shows, in fewer tokens, and a card's speed."""
    real = prove_build(program, name, model, folder, on_card=on_card, tokens=min(tokens, TOKENS))
    return replace(real, tok_per_s=TOK_PER_S)


if __name__ == "__main__":
    build = packaged(Path(sys.argv[1]).read_bytes())
    survey = Survey("linux", "x86_64", (2, 39), cards=(CARD,))
    services.BuildManager = partial(BuildManager, builds=(build,), look=lambda: survey, prove=prove)  # type: ignore[misc, assignment]
    main(["ui", "--no-browser", "--no-token", "--port", "0", "--json"])
