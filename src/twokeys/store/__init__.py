"""Everything that is kept: SQL lives here and nowhere else."""
