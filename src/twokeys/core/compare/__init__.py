"""Side by side: the same question answered with different parameters, and what to make of it."""
