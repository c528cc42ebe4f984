"""pinrank: LLM search relevance, from human judgments to re-ranking in milliseconds."""

__version__ = "0.1.0"
