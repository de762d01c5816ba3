"""Pretraining without labels: what a backbone learns from the clips themselves, before anything is fine-tuned."""
