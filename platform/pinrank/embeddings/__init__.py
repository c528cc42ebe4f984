"""Pin vectors: computing them and serving them by id."""
