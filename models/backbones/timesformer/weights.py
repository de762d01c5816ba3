"""TimeSformer-B, fine-tuned on Kinetics-400 by its authors (CC BY-NC 4.0)."""

from models.backbones.published import Published, renaming

_CONVERT = renaming(
    [
        (r"timesformer\.embeddings\.cls_token$", "cls_token"),
        (r"timesformer\.embeddings\.position_embeddings$", "pos_embed"),
        (r"timesformer\.embeddings\.time_embeddings$", "time_embed"),
        (r"timesformer\.embeddings\.patch_embeddings\.projection\.", "patch_embed."),
        (r"timesformer\.encoder\.layer\.", "blocks."),
        (r"timesformer\.layernorm\.", "norm."),
    ],
    ignored=["classifier.weight", "classifier.bias"],
)
_BASE = Published(
    "https://huggingface.co/facebook/timesformer-base-finetuned-k400/resolve/main/pytorch_model.bin",
    _CONVERT,
    name="timesformer-base-finetuned-k400.bin",
)

WEIGHTS = {"kinetics400": {"base-8x32": _BASE, "base-8x112": _BASE}}
