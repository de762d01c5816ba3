"""The demonstration's world: people in action before many cameras, rendered as video files."""
