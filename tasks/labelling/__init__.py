"""Labels for clips that have none: which to ask people for, how to ask, how the answers come back."""
