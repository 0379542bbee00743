"""The two models and their losses: pure torch, no files."""

from methmix.models.losses import LossParts
from methmix.models.original import OriginalModel
from methmix.models.prediction import Prediction, predict
from methmix.models.registry import Model, build_model
from methmix.models.sparse import SparseModel

__all__ = ["LossParts", "Model", "OriginalModel", "Prediction", "SparseModel", "build_model", "predict"]
