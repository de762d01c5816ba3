"""Clips on their way to the device: the manifest, the shards, sampling, augmentation, the loader."""
