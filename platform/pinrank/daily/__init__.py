"""The loop over days: what arrived, what is to be done, where it goes, and what a day leaves behind."""
