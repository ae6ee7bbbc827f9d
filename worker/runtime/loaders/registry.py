"""From the name of a format to the module that loads it."""

import importlib
from collections.abc import Mapping

from ..errors import StartError
from ..manifest import Manifest
from .base import Model

MODULES: Mapping[str, str] = {
    "onnx": "onnx_session",
    "skops": "skops_estimator",
    "xgboost": "xgboost_booster",
    "lightgbm": "lightgbm_booster",
    "pickle": "pickled_estimator",
}


def load_model(manifest: Manifest, threads: int) -> Model:
    """Load the model file; ``StartError`` says why it cannot be."""
    name = MODULES.get(manifest.format)
    if name is None:
        raise StartError(f"the format {manifest.format!r} has no loader here; there is one for {', '.join(MODULES)}")
    try:
        module = importlib.import_module(f".{name}", __package__)
        model: Model = module.load(manifest, threads)
    except StartError:
        raise
    except ImportError as error:
        raise StartError(f"the environment lacks what the format {manifest.format} needs: {error}") from error
    except Exception as error:  # whatever a library raises about a file it cannot read
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StartError(f"the {manifest.format} model {manifest.file.name} cannot be loaded: {line[:500]}") from error
    return model
