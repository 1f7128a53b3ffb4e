"""Studies on a Ray cluster: workers on its nodes, each with an engine of its own."""
