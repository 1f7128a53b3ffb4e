"""The app with small real files as the catalogue's smallest model and 7B: `serve_first_run.py SMALL LARGE`.

Everything but those two entries of the catalogue is as in `python -m twokeys ui`. A hub serves the files
under the official names; the environment says where the hub is.
"""

import sys
from dataclasses import replace
from pathlib import Path

from twokeys.cli import main
from twokeys.models import catalogue
from twokeys.models.shelf import hash_file


def stand_in(files: dict[str, Path]) -> None:
    """Let models of the catalogue have the sizes and checksums of files."""

    def stood_in(model: catalogue._HubModel) -> catalogue._HubModel:
        if model.name not in files:
            return model
        file = files[model.name]
        sizes = {**model.sizes, catalogue.DEFAULT_QUANTISATION: (file.stat().st_size,)}
        return replace(model, sizes=sizes, sha256=(hash_file(file),))

    catalogue._HUB_MODELS = tuple(stood_in(model) for model in catalogue._HUB_MODELS)
    catalogue.CATALOGUE = tuple(
        catalogue.find(model.name) if model.name in files else model for model in catalogue.CATALOGUE
    )


if __name__ == "__main__":
    stand_in({"qwen2.5-0.5b": Path(sys.argv[1]), "qwen2.5-7b": Path(sys.argv[2])})
    main(["ui", "--no-browser", "--no-token", "--port", "0", "--json"])
