"""Models as programs that serve without this code: one file a format, each written, read and checked alike."""
