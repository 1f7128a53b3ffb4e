"""Builds of llama.cpp that a machine can have: which there are, which suit it, and those that are here."""
