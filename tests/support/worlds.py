"""Made-up clips of sources that resemble themselves."""

import numpy as np


def clips_of(
    rng: np.random.Generator, sizes: list[int], correlation: float, *, num_features: int = 16, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings, shape (N, D), of unit variance and their sources, which share ``correlation`` of it within each."""
    source_N = np.repeat(np.arange(len(sizes)), sizes)
    own_SD = rng.standard_normal((len(sizes), num_features))
    clip_ND = rng.standard_normal((len(source_N), num_features))
    embedding_ND = np.sqrt(correlation) * own_SD[source_N] + np.sqrt(1 - correlation) * clip_ND
    return (embedding_ND + shift).astype(np.float32), source_N


def most_at_5_percent(repetitions: int) -> float:
    """False alarms that a valid test at 5% exceeds once in about a thousand runs of so many repetitions."""
    return 0.05 + 3.1 * np.sqrt(0.05 * 0.95 / repetitions)
