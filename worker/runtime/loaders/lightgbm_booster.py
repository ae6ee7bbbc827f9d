"""LightGBM boosters, from their text file."""

from collections.abc import Sequence

import lightgbm
import numpy as np

from ..manifest import Manifest
from ..tensors import Array, Tensor
from .base import Rejected
from .matrix import as_matrix, fit_output


class LightgbmModel:
    """One booster. Missing values are NaN."""

    def __init__(self, booster: lightgbm.Booster, output: Tensor, threads: int) -> None:
        self._booster = booster
        self._features = booster.num_feature()
        self._output = output
        self._threads = threads
        self.detail = f"lightgbm {lightgbm.__version__}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        matrix = as_matrix(inputs, np.float64)
        if matrix.shape[1] != self._features:
            raise Rejected(f"the model takes {self._features} features, got {matrix.shape[1]}")
        return [fit_output(self._booster.predict(matrix, num_threads=self._threads), self._output)]


def load(manifest: Manifest, threads: int) -> LightgbmModel:
    booster = lightgbm.Booster(model_file=str(manifest.file))
    return LightgbmModel(booster, manifest.signature.outputs[0], threads)
