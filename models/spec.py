"""What a model is and how it is fine-tuned, as typed sections of params.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Method = Literal["full", "head", "stages", "norm", "lora", "adapter"]

Format = Literal["pt2", "onnx", "int8"]
"""A model as a program: PyTorch's exported program, ONNX, and ONNX in eight bits."""

AnyFormat = Literal["torch", "pt2", "onnx", "int8"]
"""The same, and the model itself."""


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


class RandAugmentParams(Section):
    """Random operations on training clips (RandAugment, Cubuk et al. 2020, arXiv:1909.13719), after crop and colour.

    Attributes:
        layers: Operations a clip, one after the other; 0 turns it off.
        magnitude: Their strength, 0 to 10.
    """

    layers: Annotated[int, Field(ge=0, le=14)] = 0
    magnitude: Annotated[float, Field(ge=0.0, le=10.0)] = 5.0


class AugmentParams(Section):
    """Augmentation of training clips, the same for every frame of a clip.

    Attributes:
        crop_scale: Smallest area of a random crop as a share of the frame; 1 turns it off.
        flip: Probability of a horizontal flip.
        no_flip_labels: Labels whose meaning changes in a mirror ("turn left"); their clips are never flipped.
        colour: Strength of random brightness, contrast and saturation, as a share.
        time_jitter: Random shift of the sampled window and change of its speed, as a share.
        rand_augment: More operations.
        mixup: Parameter of the Beta distribution by which two clips and their labels are blended (Zhang et al. 2018,
            arXiv:1710.09412), while the whole network is trained; 0 turns it off.
        cutmix: The same for a box of one clip in the other (Yun et al. 2019, arXiv:1905.04899). With both on, each
            batch takes one of them.
    """

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)] = 0.6
    flip: Fraction = 0.5
    no_flip_labels: tuple[str, ...] = ()
    colour: Fraction = 0.3
    time_jitter: Fraction = 0.25
    rand_augment: RandAugmentParams = RandAugmentParams()
    mixup: Annotated[float, Field(ge=0.0)] = 0.0
    cutmix: Annotated[float, Field(ge=0.0)] = 0.0


class StagesParams(Section):
    """Training the end of the backbone alone.

    Attributes:
        last: So many of its stages, counted from the output.
    """

    last: Annotated[int, Field(ge=1)] = 1


class LoraParams(Section):
    """Low-rank changes of weights (Hu et al. 2022, arXiv:2106.09685), folded into the weights before they are saved.

    Attributes:
        rank: Of a change. Layers of which it would not be smaller than the layer itself, as of many depthwise
            convolutions, are left as they are.
        alpha: A change counts ``alpha`` over ``rank``.
        dropout: Of the input channels that a change reads, the same for all clips of a step.
        targets: Which of the backbone's layers, as patterns of their names: ``["*.qkv", "blocks.4.*"]``.
    """

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Positive = 16.0
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)


class AdapterParams(Section):
    """Small networks between the layers of a frozen backbone; they stay in the saved model.

    Attributes:
        kind: ``st`` looks along time and fits every family (ST-Adapter, Pan et al. 2022, arXiv:2206.13559); ``aim``
            lets a transformer's own attention look along time (AIM, Yang et al. 2023, arXiv:2302.03024).
        width: Channels inside an adapter as a share of those outside.
    """

    kind: Literal["st", "aim"] = "st"
    width: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25


class LossParams(Section):
    """What a wrong answer costs.

    Attributes:
        name: ``cross_entropy``; ``focal``, to which clips that are easy count little (Lin et al. 2017,
            arXiv:1708.02002); or ``binary``, which asks each class on its own. Where clips may have several labels
            (``ingest.multi_label``), all of them ask each label on its own.
        class_balance: How much more a clip of a rare class, or an answer about a rare label, counts: beta of the
            effective number of clips (Cui et al. 2019, arXiv:1901.05555). With 0 every clip counts the same, with 1
            every class; 0.9 to 0.999 are in between.
        focal_gamma: How little easy clips count, with ``focal``.
    """

    name: Literal["cross_entropy", "focal", "binary"] = "cross_entropy"
    class_balance: Fraction = 0.0
    focal_gamma: Annotated[float, Field(ge=0.0)] = 2.0


class AdversarialParams(Section):
    """Training on clips that are changed, within a bound, to mislead the model, while the whole network is trained.

    Attributes:
        method: ``none``; ``fgsm``, one step (Goodfellow et al. 2015, arXiv:1412.6572); or ``pgd``, several from a
            random start (Madry et al. 2018, arXiv:1706.06083), each of which costs a pass there and back.
        epsilon: The largest change of a pixel's values 0..255.
        steps: Of ``pgd``.
        share: Of each batch that is changed.
    """

    method: Literal["none", "fgsm", "pgd"] = "none"
    epsilon: Annotated[float, Field(gt=0.0, le=255.0)] = 4.0
    steps: Annotated[int, Field(ge=1, le=100)] = 3
    share: Fraction = 0.5


class TeacherParams(Section):
    """Another model that teaches this one while the whole network is trained; it may be of any family and flavour.

    Attributes:
        model: Folder of a model, ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``; null for none. DVC does not see
            what an alias or a folder comes to hold: name a version.
        logits: Weight of the divergence from the teacher's answers, beside the loss (Hinton et al. 2015,
            arXiv:1503.02531).
        temperature: By which both sides' class scores are divided.
        features: Weight of the distance from the teacher's features, by a projection that is learned and then dropped
            (FitNets, Romero et al. 2015, arXiv:1412.6550).
    """

    model: str | None = None
    logits: Annotated[float, Field(ge=0.0)] = 1.0
    temperature: Positive = 2.0
    features: Annotated[float, Field(ge=0.0)] = 0.0


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
        method: What is trained. The head always is, and beside it: ``full`` every weight; ``head`` nothing, on frozen
            features; ``stages`` the last stages; ``norm`` normalisation and biases (BitFit, Ben Zaken et al. 2022,
            arXiv:2106.10199); ``lora`` low-rank changes of frozen weights; ``adapter`` small networks between frozen
            layers.
        stages: Of the method of that name, like the next two.
        lora: See :class:`LoraParams`.
        adapter: See :class:`AdapterParams`.
        layer_decay: Each stage of the backbone learns at this multiple of the rate of the stage after it (BEiT, Bao et
            al. 2022, arXiv:2106.08254); 1 turns it off. What a method adds learns at ``lr``.
        unfreeze: Epochs after which one stage more takes part, the last one first (gradual unfreezing: ULMFiT, Howard
            and Ruder 2018, arXiv:1801.06146); 0 trains all of them from the start.
        l2_sp: Weight of half the squared distance of trained weights from where they started (L2-SP, Li et al. 2018,
            arXiv:1802.01483), the head's aside; 0 turns it off. Set ``weight_decay`` to 0 beside it.
        epochs: Passes over the training split, at most.
        head_epochs: With every method but ``head``: passes that train only the head on frozen features before the rest
            takes part (linear probing then fine-tuning, Kumar et al. 2022, arXiv:2202.10054). 0 turns it off.
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
        sync_batch_norm: Whether several processes normalise by the clips of all of them, where batch normalisation is
            not frozen.
        stochastic_depth: Probability with which the last residual branch is left out of a clip, while the whole network
            is trained; earlier ones less (Huang et al. 2016, arXiv:1603.09382). 0 turns it off.
        augment: Augmentation.
        adversarial: Training on clips that are changed to mislead.
        teacher: Another model to learn from.
        early_stopping_patience: Stop after so many epochs without a better validation loss; 0 turns it off.
        precision: ``fp32``, or autocast to ``bf16``, or to ``fp16`` with a scaled loss for GPUs that lack bf16.
        channels_last: Weights and clips with channels innermost; ``auto``: on a GPU with ``bf16`` or ``fp16``.
        compile: Compile the network for the device; pays on a GPU, for jobs that take longer than the minutes it costs.
        ema: Decay of a moving average of the weights, which is what is evaluated and kept; 0 turns it off.
        shuffled_shards: How many shards are read at a time, their clips shuffled together; 0 shuffles all clips. For
            data that are streamed through a cache smaller than they are, which then are fetched once an epoch.
        progressive: Smaller clips for the first part of training every weight; empty for full size throughout.
        multigrid: Take as many more clips a step as they are smaller, at a rate that is higher by as much: epochs of
            small clips have fewer steps, and not only cheaper ones (Multigrid's long cycle, Wu et al. 2020,
            arXiv:1912.00998).
        num_threads: Intra-operation threads on CPU; part of the result, since sums depend on it.
    """

    method: Method = "full"
    stages: StagesParams = StagesParams()
    lora: LoraParams = LoraParams()
    adapter: AdapterParams = AdapterParams()
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    unfreeze: Annotated[int, Field(ge=0)] = 0
    l2_sp: Annotated[float, Field(ge=0.0)] = 0.0
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
    sync_batch_norm: bool = True
    stochastic_depth: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    augment: AugmentParams = AugmentParams()
    adversarial: AdversarialParams = AdversarialParams()
    teacher: TeacherParams = TeacherParams()
    early_stopping_patience: Annotated[int, Field(ge=0)] = 5
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool | Literal["auto"] = "auto"
    compile: bool = False
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    shuffled_shards: Annotated[int, Field(ge=0)] = 0
    progressive: tuple[ProgressiveStage, ...] = ()
    multigrid: bool = False
    num_threads: Annotated[int, Field(ge=1, le=256)] = 2

    @model_validator(mode="after")
    def _nothing_is_asked_that_has_no_effect(self) -> "FineTuneParams":
        asked = {
            "augment.mixup": self.augment.mixup > 0,
            "augment.cutmix": self.augment.cutmix > 0,
            "stochastic_depth": self.stochastic_depth > 0,
            "adversarial.method": self.adversarial.method != "none",
            "teacher.model": self.teacher.model is not None,
        }
        if self.method == "head" and (wanted := [name for name, is_on in asked.items() if is_on]):
            raise ValueError(f"{wanted[0]} has no effect on a head that is trained on features: take another method")
        if self.multigrid and not self.progressive:
            raise ValueError("multigrid has no effect where all clips are of one size: give progressive a stage")
        return self


class PretrainParams(Section):
    """What a backbone learns from the clips themselves before it is fine-tuned. Everything here changes its weights.

    Attributes:
        objective: ``none``; ``masked`` paints hidden patches (families ``vit`` and ``videomae``; Tong et al. 2022,
            arXiv:2203.12602); ``contrastive`` finds the same video again (every family; BYOL, Grill et al. 2020,
            arXiv:2006.07733).
        epochs: Passes over the training split, clips without labels included.
        batch_size: Clips per step.
        lr: Peak learning rate.
        weight_decay: Decoupled; never on biases and normalisation.
        warmup_epochs: Linear warm-up from zero; fractions allowed.
        mask_ratio: Share of patches that are hidden, the same ones at every step.
        decoder_blocks: Of the network that paints them.
        target_momentum: How much of itself the copy that ``contrastive`` follows keeps at each step.
        augment: Of each view; none is mirrored, since without a label nobody knows whether it may be.
        precision: ``fp32``, or ``bf16`` autocast where it pays.
        num_threads: Intra-operation threads on CPU; part of the result, since sums depend on it.
    """

    objective: Literal["none", "masked", "contrastive"] = "none"
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 16
    lr: Positive = 3e-4
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.05
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 5.0
    mask_ratio: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    decoder_blocks: Annotated[int, Field(ge=1, le=64)] = 4
    target_momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    augment: AugmentParams = AugmentParams(time_jitter=0.5)
    precision: Literal["fp32", "bf16"] = "fp32"
    num_threads: Annotated[int, Field(ge=1, le=256)] = 2


class RehearsalParams(Section):
    """Which clips that the champion was made with are trained on again, together with the new ones.

    Attributes:
        clips: Size of the memory, balanced over classes and sources; 0 trains on the new clips alone.
    """

    clips: Annotated[int, Field(ge=0)] = 256


class DistillationParams(Section):
    """Keeping what the champion says of its own classes (Li and Hoiem 2017, arXiv:1606.09282).

    Attributes:
        weight: Of the term beside the cross entropy; 0 turns it off.
        temperature: By which both sides' class scores are divided.
    """

    weight: Annotated[float, Field(ge=0.0)] = 0.0
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
