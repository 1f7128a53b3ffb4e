"""How large a document may be, and what reading one may take."""

MAX_BYTES = 100_000_000
"""Of the file."""

MAX_UNPACKED_BYTES = 400_000_000
"""Of what a file that is an archive (DOCX, XLSX, PPTX, EPUB) unpacks to."""

MAX_MEMBERS = 20_000
"""Files in such an archive."""

MAX_PASSAGES = 5_000
"""Pages, slides, sheets, chapters or sections."""

MAX_CHARS = 10_000_000
"""Of the text that comes out."""

MEMORY_BYTES = 1 << 30
"""Address space of the child process."""

TIME_S = 60.0
OUTPUT_BYTES = 64_000_000
