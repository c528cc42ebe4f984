"""Pairs that people should look at again, as Label Studio tasks, and what they said of them."""
