"""What a search is made of: its space, its study in a database, its trials' processes, its results."""
