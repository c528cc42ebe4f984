"""Captions of pins' pictures, by an image-to-text model."""
