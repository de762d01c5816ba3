"""Models in MLflow's registry: what they carry, how they are trusted, and who is champion."""
