"""The app with a catalogue whose smallest model is a small real file: `serve_first_run.py FILE`.

Everything but that one entry of the catalogue is as in `python -m twokeys ui`. FILE is served by a hub
under the official name; the environment says where the hub is.
"""

import sys
from dataclasses import replace
from pathlib import Path

from twokeys.cli import main
from twokeys.models import catalogue
from twokeys.models.shelf import hash_file


def stand_in(file: Path) -> None:
    """Let the smallest Qwen2.5 of the catalogue have a file's size and checksum."""
    *others, smallest = catalogue._HUB_MODELS
    sizes = {**smallest.sizes, catalogue.DEFAULT_QUANTISATION: (file.stat().st_size,)}
    smallest = replace(smallest, sizes=sizes, sha256=(hash_file(file),))
    catalogue._HUB_MODELS = (*others, smallest)
    catalogue.CATALOGUE = tuple(
        catalogue.find(model.name) if model.name == smallest.name else model for model in catalogue.CATALOGUE
    )


if __name__ == "__main__":
    stand_in(Path(sys.argv[1]))
    main(["ui", "--no-browser", "--port", "0", "--json"])
