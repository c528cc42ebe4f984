"""Re-rank live searches with the student."""
