"""Engines: what writes the answers. Only the composition root imports from here."""
