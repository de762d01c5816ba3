"""Statistics that respect dependence: clips of one source are not independent, so sources are what is counted."""
