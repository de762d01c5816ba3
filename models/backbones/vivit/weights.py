"""ViViT-B/16x2, fine-tuned on Kinetics-400 by its authors (MIT)."""

from models.backbones.published import Published, renaming

_LAYER = r"vivit\.encoder\.layer\.(\d+)\."
_CONVERT = renaming(
    [
        (r"vivit\.embeddings\.cls_token$", "cls_token"),
        (r"vivit\.embeddings\.position_embeddings$", "pos_embed"),
        (r"vivit\.embeddings\.patch_embeddings\.projection\.", "patch_embed."),
        (_LAYER + r"attention\.attention\.query\.", r"blocks.\1.attention.q_proj."),
        (_LAYER + r"attention\.attention\.key\.", r"blocks.\1.attention.k_proj."),
        (_LAYER + r"attention\.attention\.value\.", r"blocks.\1.attention.v_proj."),
        (_LAYER + r"attention\.output\.dense\.", r"blocks.\1.attention.o_proj."),
        (_LAYER + r"intermediate\.dense\.", r"blocks.\1.mlp.fc1."),
        (_LAYER + r"output\.dense\.", r"blocks.\1.mlp.fc2."),
        (_LAYER, r"blocks.\1."),
        (r"vivit\.layernorm\.", "norm."),
    ],
    ignored=["classifier.weight", "classifier.bias"],
)
_BASE = Published(
    "https://huggingface.co/google/vivit-b-16x2-kinetics400/resolve/main/pytorch_model.bin",
    _CONVERT,
    name="vivit-b-16x2-kinetics400.bin",
)

WEIGHTS = {"kinetics400": {"base-32x2": _BASE, "base-8x112": _BASE}}
