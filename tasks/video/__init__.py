"""Video on its way in: where it lies, what it is, and its frames, decoded where a hostile file can do no harm."""
