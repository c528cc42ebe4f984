"""The teacher: an LLM cross-encoder that grades (query, pin) pairs on five levels."""
