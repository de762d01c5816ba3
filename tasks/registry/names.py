"""Names of tags and aliases, and what else several modules must spell alike."""

CHAMPION = "champion"
CHALLENGER = "challenger"

KEY = "videoloop.key"
COMMIT = "videoloop.commit"
DATASET = "videoloop.dataset"
WEIGHTS = "videoloop.weights_sha256"
CHECKSUMS = "videoloop.checksums_sha256"
VERDICT = "videoloop.verdict"
EXPORT = "videoloop.export"

MODEL_FOLDER = "artifacts/model"
PREPROCESSING = "preprocessing.json"
FORMATS = "formats.json"
EXAMPLE = "example.mp4"
EXAMPLE_ANSWER = "example.json"
REFERENCE = "reference.parquet"

ADDRESS = "models:/"
"""How the address of a registered model begins."""
