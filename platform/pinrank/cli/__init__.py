"""The command `pinrank`: jobs, bundles, and whether a machine has what they need."""
