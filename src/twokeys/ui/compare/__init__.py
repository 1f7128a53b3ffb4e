"""The parts of the page "Compare": setting up, the columns, what differs, the lens, the votes."""
