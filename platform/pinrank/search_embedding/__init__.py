"""A two-tower retrieval model of what people engaged with after a query: a baseline, and a feature for the student."""
