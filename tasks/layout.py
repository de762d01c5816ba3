"""Where a workspace keeps its files, relative to its root. dvc.yaml says the same; a test holds them together."""

from pathlib import Path

DATA = Path("data")
MANIFEST = DATA / "manifest.parquet"
QUARANTINE = DATA / "quarantine.parquet"
SHARDS = DATA / "shards"
PERSON_LABELS = Path("person_labels.csv")

CHAMPION = Path("champion")
CHAMPION_NOTE = Path("champion.json")

RESULTS = Path("results")
VALIDATION = RESULTS / "validate" / "summary.json"
DATA_DOCS = RESULTS / "validate" / "data_docs"
PRETRAINED = RESULTS / "pretrain" / "weights.safetensors"
SEARCH = RESULTS / "search"
BEST_PARAMS = SEARCH / "best_params.json"
TRIALS = SEARCH / "trials.csv"
IMPORTANCE = SEARCH / "importance.csv"
MODEL = RESULTS / "fine_tune" / "model"
WEIGHTS = MODEL / "weights.safetensors"
MODEL_CARD = MODEL / "model.json"
CURVES = RESULTS / "fine_tune" / "curves.csv"
METRICS = RESULTS / "evaluate" / "metrics.json"
PREDICTIONS = RESULTS / "evaluate" / "predictions.parquet"
CONFUSION = RESULTS / "evaluate" / "confusion.csv"
RELIABILITY = RESULTS / "evaluate" / "reliability.csv"
SLICES = RESULTS / "evaluate" / "slices.csv"
PROGRAMS = RESULTS / "export" / "programs"
FORMATS = RESULTS / "export" / "formats.json"
REFERENCE = RESULTS / "reference" / "reference.parquet"
REPORT = RESULTS / "report" / "report.html"
