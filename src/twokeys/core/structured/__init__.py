"""Answers that hold to a JSON schema: their schema, whether they are valid, their rows and exports."""
