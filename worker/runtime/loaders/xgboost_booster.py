"""XGBoost boosters, from their JSON or UBJSON file."""

from collections.abc import Sequence

import numpy as np
import xgboost

from ..manifest import Manifest
from ..tensors import Array, Tensor
from .base import Rejected
from .matrix import as_matrix, fit_output


class XgboostModel:
    """One booster. Missing values are NaN."""

    def __init__(self, booster: xgboost.Booster, output: Tensor) -> None:
        self._booster = booster
        self._features = booster.num_features()
        self._output = output
        self._rounds = (0, _best_rounds(booster))
        self.detail = f"xgboost {xgboost.__version__}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        matrix = as_matrix(inputs, np.float32)
        if matrix.shape[1] != self._features:
            raise Rejected(f"the model takes {self._features} features, got {matrix.shape[1]}")
        values = self._booster.inplace_predict(matrix, iteration_range=self._rounds, validate_features=False)
        return [fit_output(values, self._output)]


def _best_rounds(booster: xgboost.Booster) -> int:
    """Where scikit-learn's face of XGBoost stopped early it answers by the best rounds alone; 0 is all."""
    best = booster.attr("best_iteration") if booster.attr("scikit_learn") else None
    return int(best) + 1 if best and best.isdigit() else 0


def load(manifest: Manifest, threads: int) -> XgboostModel:
    booster = xgboost.Booster(model_file=str(manifest.file))
    booster.set_param({"nthread": threads, "device": "cpu"})
    return XgboostModel(booster, manifest.signature.outputs[0])
