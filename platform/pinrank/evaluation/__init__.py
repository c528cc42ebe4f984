"""Measuring rankings and grades against human judgments."""
