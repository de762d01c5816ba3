"""Ways of fine-tuning, applied to a model from outside: which weights train, and what is added to it for training."""
