"""Every way of fine-tuning, at the size of a debug flavour."""

from models.spec import AdapterParams, FineTuneParams, LoraParams, StagesParams

METHODS = {
    "full": FineTuneParams(method="full"),
    "head": FineTuneParams(method="head"),
    "stages": FineTuneParams(method="stages", stages=StagesParams(last=2)),
    "norm": FineTuneParams(method="norm"),
    "lora": FineTuneParams(method="lora", lora=LoraParams(rank=1)),
    "st": FineTuneParams(method="adapter", adapter=AdapterParams(kind="st", width=0.5)),
    "aim": FineTuneParams(method="adapter", adapter=AdapterParams(kind="aim", width=0.5)),
}
