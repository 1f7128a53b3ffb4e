"""TwoKeys: a local chat workbench whose temperature and answer length are measured, not guessed."""

__version__ = "0.1.0"
