"""One file a job; each reads top to bottom as its recipe."""
