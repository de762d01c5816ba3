"""What is done: one verb a file. Files in, files out, unless the verb touches the outside world."""
