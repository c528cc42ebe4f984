"""Which impressions are worth a label."""
