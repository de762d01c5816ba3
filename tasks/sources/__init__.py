"""Where video comes from when it does not lie in a folder of this machine."""
