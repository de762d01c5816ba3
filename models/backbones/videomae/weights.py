"""VideoMAE, pretrained and fine-tuned on Kinetics-400 by its authors (CC BY-NC 4.0)."""

from models.backbones.published import Published, renaming

_LAYER = r"videomae\.encoder\.layer\.(\d+)\."
_CONVERT = renaming(
    [
        (r"videomae\.embeddings\.patch_embeddings\.projection\.", "patch_embed."),
        (_LAYER + r"attention\.attention\.q_bias$", r"blocks.\1.attention.attention.query.bias"),
        (_LAYER + r"attention\.attention\.v_bias$", r"blocks.\1.attention.attention.value.bias"),
        (_LAYER, r"blocks.\1."),
    ],
    ignored=["classifier.weight", "classifier.bias"],
)
_HUB = "https://huggingface.co/MCG-NJU"
_BASE = Published(
    f"{_HUB}/videomae-base-finetuned-kinetics/resolve/main/model.safetensors",
    _CONVERT,
    name="videomae-base-finetuned-kinetics.safetensors",
)
_SMALL = Published(
    f"{_HUB}/videomae-small-finetuned-kinetics/resolve/main/pytorch_model.bin",
    _CONVERT,
    name="videomae-small-finetuned-kinetics.bin",
)

WEIGHTS = {
    "kinetics400": {"base-16x4": _BASE, "base-8x112": _BASE, "small-16x4": _SMALL, "small-8x112": _SMALL},
}
