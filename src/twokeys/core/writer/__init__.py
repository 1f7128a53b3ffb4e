"""Long texts by segments (S12): a project, its outline, sections written one by one, care for the whole.

`writer.Writer` is what screens and commands use. No prompt grows with the length of the whole.
"""
