"""How labelled video lies on a disk: one file a layout. Which one a source has is decided in ``read.py``."""
