"""What training makes small. One file each; the loop takes whichever it is given."""
