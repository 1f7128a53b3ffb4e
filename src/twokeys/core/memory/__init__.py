"""How much memory a model needs before any of it is used, and how much there really is."""
