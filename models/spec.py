"""What a model is and how it is fine-tuned, as typed sections of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A frozen section of params.yaml; an unknown key is an error that names itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HeadParams(Section):
    """The part that is trained from nothing.

    Attributes:
        name: ``temporal`` reads frame features in order (frame families only); ``linear`` averages over time.
        hidden: Channels of the temporal head's convolutions.
        dropout: Probability of dropping a feature before the classifier.
    """

    name: Literal["temporal", "linear"] = "temporal"
    hidden: Annotated[int, Field(ge=8, le=4096)] = 256
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2


class ModelParams(Section):
    """Which network, and where its weights come from.

    Attributes:
        family: A folder of ``models/backbones``.
        flavour: One of the family's flavours; it fixes frames, stride, size and normalisation.
        weights: Published ones by name, where the flavour has them: ``kinetics400``, ``imagenet`` (of a 2D network,
            inflated into time) or ``sports1m``, fetched once, or ``NAME:PATH`` for the publisher's file on this
            machine. A registered model: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``. The path of a safetensors
            file. Or ``none``.
        head: The classifier on top.
    """

    family: str
    flavour: str
    weights: str = "none"
    head: HeadParams = HeadParams()


class AugmentParams(Section):
    """Augmentation of training clips, the same for every frame of a clip.

    Attributes:
        crop_scale: Smallest area of a random crop as a share of the frame; 1 turns it off.
        flip: Probability of a horizontal flip.
        no_flip_labels: Labels whose meaning changes in a mirror ("turn left"); their clips are never flipped.
        colour: Strength of random brightness, contrast and saturation, as a share.
        time_jitter: Random shift of the sampled window and change of its speed, as a share.
    """

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)] = 0.6
    flip: Fraction = 0.5
    no_flip_labels: tuple[str, ...] = ()
    colour: Fraction = 0.3
    time_jitter: Fraction = 0.25


class LossParams(Section):
    """What a wrong answer costs.

    Attributes:
        name: ``cross_entropy``; ``focal``, to which clips that are easy count little (Lin et al. 2017,
            arXiv:1708.02002); or ``binary``, which asks each class on its own.
        class_balance: How much more a clip of a rare class counts: beta of the effective number of clips (Cui et al.
            2019, arXiv:1901.05555). With 0 every clip counts the same, with 1 every class; 0.9 to 0.999 are in between.
        focal_gamma: How little easy clips count, with ``focal``.
    """

    name: Literal["cross_entropy", "focal", "binary"] = "cross_entropy"
    class_balance: Fraction = 0.0
    focal_gamma: Annotated[float, Field(ge=0.0)] = 2.0


class ProgressiveStage(Section):
    """Smaller clips for a part of the training (a short form of Multigrid, Wu et al. 2020, arXiv:1912.00998).

    Attributes:
        until: Share of the epochs at which this stage ends.
        size: Side of the clips in pixels; None for the flavour's.
        frames: Frames of the clips, over the same time; None for the flavour's.
    """

    until: Annotated[float, Field(gt=0.0, le=1.0)]
    size: Annotated[int, Field(ge=8, le=2048)] | None = None
    frames: Annotated[int, Field(ge=1, le=1024)] | None = None


class FineTuneParams(Section):
    """One fine-tuning job. Everything here changes the resulting weights.

    Attributes:
        method: ``full`` trains every weight; ``head`` trains the head on frozen features.
        epochs: Passes over the training split, at most.
        head_epochs: With ``full``: passes that train only the head on frozen features before the whole network is
            trained (linear probing then fine-tuning, Kumar et al. 2022, arXiv:2202.10054). 0 turns it off.
        batch_size: Clips per step.
        optimizer: ``adamw`` or ``sgd`` (with Nesterov momentum).
        lr: Peak learning rate of the head.
        backbone_lr_scale: The backbone's learning rate as a multiple of ``lr``.
        momentum: Of SGD.
        weight_decay: Decoupled for AdamW; never on biases and normalisation.
        schedule: ``cosine`` to zero, ``step`` (a tenth at 60% and again at 85% of the steps), or ``one_cycle`` (up from
            a 25th to the peak in the first 30% of the steps, then down to nothing; Smith and Topin 2017,
            arXiv:1708.07120), which has no other warm-up.
        warmup_epochs: Linear warm-up from zero; fractions allowed.
        accumulate: Micro-batches into which a batch is cut, for batches that do not fit into memory at once. Where that
            is still too much, micro-batches are halved until they fit; the batch stays as it is.
        clip_norm: Longest gradient, over all weights together; longer ones are scaled down. 0 turns it off.
        loss: What a wrong answer costs.
        label_smoothing: Of the loss: share of each answer that is spread over all of them.
        freeze_batch_norm: Keep running statistics as they were (small batches of few scenes).
        augment: Augmentation.
        early_stopping_patience: Stop after so many epochs without a better validation loss; 0 turns it off.
        precision: ``fp32``, or autocast to ``bf16``, or to ``fp16`` with a scaled loss for GPUs that lack bf16.
        channels_last: Weights and clips with channels innermost; ``auto``: on a GPU with ``bf16`` or ``fp16``.
        compile: Compile the network for the device; pays on a GPU, for jobs that take longer than the minutes it costs.
        ema: Decay of a moving average of the weights, which is what is evaluated and kept; 0 turns it off.
        progressive: Smaller clips for the first part of training every weight; empty for full size throughout.
        num_threads: Intra-operation threads on CPU; part of the result, since sums depend on it.
    """

    method: Literal["full", "head"] = "full"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    head_epochs: Annotated[int, Field(ge=0, le=10_000)] = 0
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = 1e-3
    backbone_lr_scale: Annotated[float, Field(ge=0.0)] = 0.1
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    schedule: Literal["cosine", "step", "one_cycle"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 1.0
    accumulate: Annotated[int, Field(ge=1, le=65_536)] = 1
    clip_norm: Annotated[float, Field(ge=0.0)] = 0.0
    loss: LossParams = LossParams()
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    freeze_batch_norm: bool = True
    augment: AugmentParams = AugmentParams()
    early_stopping_patience: Annotated[int, Field(ge=0)] = 5
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool | Literal["auto"] = "auto"
    compile: bool = False
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    progressive: tuple[ProgressiveStage, ...] = ()
    num_threads: Annotated[int, Field(ge=1, le=256)] = 2


class RehearsalParams(Section):
    """Which clips that the champion was made with are trained on again, together with the new ones.

    Attributes:
        clips: Size of the memory, balanced over classes and sources; 0 trains on the new clips alone.
    """

    clips: Annotated[int, Field(ge=0)] = 512


class DistillationParams(Section):
    """Keeping what the champion says of its own classes (Li and Hoiem 2017, arXiv:1606.09282).

    Attributes:
        weight: Of the term beside the cross entropy; 0 turns it off.
        temperature: By which both sides' class scores are divided.
    """

    weight: Annotated[float, Field(ge=0.0)] = 1.0
    temperature: Positive = 2.0


class AnchorParams(Section):
    """Keeping weights near the champion's.

    Attributes:
        importance: What a weight's distance counts: ``same``, one for all (L2-SP, Li et al. 2018, arXiv:1802.01483), or
            ``fisher``, the diagonal of the Fisher information on the memory (EWC, Kirkpatrick et al. 2017,
            arXiv:1612.00796).
        weight: Of the term beside the cross entropy; 0 turns it off.
    """

    importance: Literal["same", "fisher"] = "fisher"
    weight: Annotated[float, Field(ge=0.0)] = 0.0


class ContinualParams(Section):
    """How a model is trained on when there is a champion that knows some of the clips, without forgetting them.

    Attributes:
        start: ``champion`` starts from its weights and classes; ``scratch`` does as if there were none.
        vanished: What becomes of its classes of which no clip is left: ``keep`` or ``drop``.
        rehearsal: The memory.
        distillation: A term of the loss.
        anchor: A term of the loss.
    """

    start: Literal["champion", "scratch"] = "champion"
    vanished: Literal["keep", "drop"] = "keep"
    rehearsal: RehearsalParams = RehearsalParams()
    distillation: DistillationParams = DistillationParams()
    anchor: AnchorParams = AnchorParams()
