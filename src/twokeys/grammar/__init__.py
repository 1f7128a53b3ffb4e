"""What an answer may be, token by token: grammars as values, and those of JSON schemas."""
