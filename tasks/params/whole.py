"""params.yaml as a whole, and what every stage may read of it."""

from typing import Annotated

from pydantic import Field, model_validator

from models.spec import ContinualParams, ModelParams, PretrainParams, Section
from tasks.params.data import IngestParams, SplitParams, ValidateParams
from tasks.params.quality import EvaluateParams, ExportParams, JudgeParams, PromoteParams, ReportParams
from tasks.params.training import FinalJobParams, SearchParams
from tasks.params.watch import PseudoParams, WatchParams


class BaseParams(Section):
    """What every stage may read.

    Attributes:
        name: Name of the registered model and of the MLflow experiment.
        seed: Seed of every random choice.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Params(Section):
    """The whole of params.yaml. Hand each function its section, never the whole."""

    base: BaseParams
    ingest: IngestParams = IngestParams()
    split: SplitParams = SplitParams()
    validate_: Annotated[ValidateParams, Field(alias="validate")] = ValidateParams()
    model: ModelParams
    continual: ContinualParams = ContinualParams()
    pretrain: PretrainParams = PretrainParams()
    fine_tune: FinalJobParams = FinalJobParams()
    search: SearchParams = SearchParams()
    evaluate: EvaluateParams = EvaluateParams()
    export: ExportParams = ExportParams()
    report: ReportParams = ReportParams()
    judge: JudgeParams = JudgeParams()
    promote: PromoteParams = PromoteParams()
    watch: WatchParams = WatchParams()
    pseudo: PseudoParams = PseudoParams()

    @model_validator(mode="after")
    def _several_labels_allow_it(self) -> "Params":
        views = self.evaluate.views
        asked = {
            "pseudo.enabled": self.pseudo.enabled,
            "evaluate.adversarial.epsilon": self.evaluate.adversarial.epsilon > 0,
            "evaluate.views": views.temporal * views.spatial > 1,
        }
        if self.ingest.multi_label and (wanted := [name for name, is_on in asked.items() if is_on]):
            raise ValueError(f"{wanted[0]} is for clips of one label: leave it out, or set ingest.multi_label to false")
        return self
