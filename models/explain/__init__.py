"""Why a model answers as it does: where it looks, and at which frames."""
