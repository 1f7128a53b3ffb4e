"""Long texts by segments (S12): a project, its outline, sections written one by one, their quality.

`writer.Writer` is what screens and commands use. No prompt grows with the length of the whole.
"""
