"""Model files: catalogue, download, metadata. Only the composition root imports from here."""
