"""What the authors trained on Sports-1M, as converted for MMAction2."""

from models.backbones.published import Published, renaming

_CONVERT = renaming(
    [(r"conv([12])a\.conv\.", r"maps.conv\1."), (r"conv([345][ab])\.conv\.", r"maps.conv\1.")],
    ignored=["fc8.weight", "fc8.bias"],
)
_SPORTS1M = Published(
    "https://download.openmmlab.com/mmaction/recognition/c3d/c3d_sports1m_pretrain_20201016-dcc47ddc.pth",
    _CONVERT,
    sha256="dcc47ddc",
)

WEIGHTS = {"sports1m": {"16x112-sports1m": _SPORTS1M}}
