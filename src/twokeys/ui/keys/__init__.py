"""The parts of the two keys' card and of the folds below it; `views/keys.py` puts them together."""
