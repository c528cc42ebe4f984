"""Grading sampled impressions with the teacher, one committed shard at a time."""
