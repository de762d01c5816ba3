"""The watch: has the world before the cameras changed, does it hurt, since when, which clips show it, what follows."""
