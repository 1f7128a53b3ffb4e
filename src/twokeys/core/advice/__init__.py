"""Task first: what a message wants done, which keys suit it, how long the answer needs to be, and
what would make the prompt stronger. Pure functions on text; the model is asked elsewhere."""
