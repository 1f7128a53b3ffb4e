"""The screens. A view gets state, draws widgets, calls core and draws the result."""
