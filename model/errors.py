"""What can be wrong with a model, its artefact or the files it meets: one line each, with what to do."""

from preprocessing.errors import RisklineError


class ArtifactError(RisklineError):
    """The artefact is missing, damaged, foreign or made for another schema."""

    code = "bad_artifact"


class TrainingDataError(RisklineError):
    """The labelled applications cannot be trained on; the message gives row numbers, never values."""

    code = "bad_training_data"


class PolicyError(RisklineError):
    """No thresholds meet the policy's targets, or the thresholds contradict each other."""

    code = "bad_policy"


class ScoringError(RisklineError):
    """Applications cannot be read from where somebody said, or their scores not be written there."""

    code = "scoring"


class ParityError(RisklineError):
    """The exported graph does not answer as XGBoost and the calibrator do: nothing is written."""

    code = "parity"


class ExplanationError(RisklineError):
    """The contributions of these trees cannot be tabulated, or the tables do not say what XGBoost says."""

    code = "explanation"


class MonotonicityError(RisklineError):
    """A direction that the domain demands is not proved for the exported trees: nothing is written."""

    code = "monotonicity"


class ComparisonError(RisklineError):
    """Two models cannot be compared on the applications at hand."""

    code = "comparison"


class PromotionError(RisklineError):
    """The model that is served cannot be changed, or was not by every worker."""

    code = "promotion"
