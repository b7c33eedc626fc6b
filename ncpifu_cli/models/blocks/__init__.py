"""One idea of the paper per file."""
