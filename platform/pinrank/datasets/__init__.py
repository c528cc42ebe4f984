"""Importers of public judgments and the generator of a world of any size."""
