"""One file a benchmark; each prints, last, one JSON line of ratios measured in one run."""
