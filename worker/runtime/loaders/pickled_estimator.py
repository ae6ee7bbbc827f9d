"""scikit-learn's kind of estimator from the pickle itself: tier 2, by an exception that people granted for this file.

The names it may use are those of the manifest, which the approval was given for, and no others. It runs only behind
the sandbox's wall: the driver starts such a replica nowhere else.
"""

import warnings
from typing import Any

from joblib.numpy_pickle import NumpyUnpickler

from ..errors import StartError
from ..manifest import Manifest
from .skops_estimator import SklearnModel

_RENAMED = {"copy_reg": "copyreg", "__builtin__": "builtins"}  # Python 2 names that protocol 2 still writes


class _ListedNames(NumpyUnpickler):  # type: ignore[misc]
    """Reads pickles with and without joblib's arrays between the instructions."""

    trusted: frozenset[str] = frozenset()

    def find_class(self, module: str, name: str) -> Any:
        if f"{_RENAMED.get(module, module)}:{name}" not in self.trusted:
            raise StartError(f"the model would use {module}.{name}, which no exception was granted for")
        return super().find_class(module, name)


def load(manifest: Manifest, threads: int) -> SklearnModel:
    """Load with exactly the names that the manifest trusts; another name ends the start."""
    with open(manifest.file, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions: the examination has told them
        reader = _ListedNames(str(manifest.file), file, ensure_native_byte_order=True)
        reader.trusted = frozenset(manifest.trusted)
        estimator = reader.load()
    return SklearnModel(estimator, manifest.signature.inputs, manifest.signature.outputs)
