"""The command `pinrank`: jobs, releases, and whether a machine has what they need."""
