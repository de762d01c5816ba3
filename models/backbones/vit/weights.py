"""ImageNet-1k weights of ViT: those of DeiT (Touvron et al. 2021, arXiv:2012.12877), which has the same architecture.

Files with timm's names or torchvision's are read too, as ``imagenet:PATH``.
"""

from models.backbones.published import Published, renaming

_TORCHVISION = r"encoder\.layers\.encoder_layer_(\d+)\."
_CONVERT = renaming(
    [
        (r"class_token$", "cls_token"),
        (r"conv_proj\.", "patch_embed.proj."),
        (r"encoder\.pos_embedding$", "pos_embed"),
        (_TORCHVISION + r"ln_1\.", r"blocks.\1.norm1."),
        (_TORCHVISION + r"self_attention\.in_proj_", r"blocks.\1.attn.qkv."),
        (_TORCHVISION + r"self_attention\.out_proj\.", r"blocks.\1.attn.proj."),
        (_TORCHVISION + r"ln_2\.", r"blocks.\1.norm2."),
        (_TORCHVISION + r"mlp\.(?:0|linear_1)\.", r"blocks.\1.mlp.fc1."),
        (_TORCHVISION + r"mlp\.(?:3|linear_2)\.", r"blocks.\1.mlp.fc2."),
        (r"encoder\.ln\.", "norm."),
    ],
    ignored=["head.weight", "head.bias", "heads.head.weight", "heads.head.bias"],
)


def _deit(size: str, sha256: str) -> Published:
    # The digits are the file's own: its publisher names it by the beginning of its hash.
    return Published(f"https://dl.fbaipublicfiles.com/deit/deit_{size}_patch16_224-{sha256}.pth", _CONVERT, sha256)


_TINY, _SMALL, _BASE = _deit("tiny", "a1311bcf"), _deit("small", "cd65a155"), _deit("base", "b5f2ef4d")

WEIGHTS = {
    "imagenet": {
        f"{size}-{clip}": published
        for size, published in (("tiny", _TINY), ("small", _SMALL), ("base", _BASE))
        for clip in ("8x112", "8x224")
    }
}
