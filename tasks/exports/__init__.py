"""Exported programs beside the model: what they say, what they cost, which may answer."""
