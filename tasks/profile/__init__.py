"""The profile of a dataset: what is in it, on one page."""
