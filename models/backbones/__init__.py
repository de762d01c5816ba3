"""Backbones: one folder a family, found by its name. Each has a ``flavours``, a ``model`` and a ``weights`` module."""
