"""Bytecode of the machine learning packages, made beside the running product: ``python -m controlplane.up.bytecode``.

Only sandboxes import them, and those cannot write: without bytecode each examination would compile scikit-learn anew
(about 6 s instead of 2). Compiling what is compiled already costs next to nothing.
"""

import compileall
import os
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "numpy",
    "scipy",
    "joblib",
    "sklearn",
    "skops",
    "onnx",
    "onnxruntime",
    "onnxconverter_common",
    "skl2onnx",
    "onnxmltools",
    "lightgbm",
    "xgboost",
)


def main() -> None:
    os.nice(19)
    for name in PACKAGES:
        spec = find_spec(name)
        if spec and spec.origin:
            compileall.compile_dir(Path(spec.origin).parent, quiet=2, workers=0)


if __name__ == "__main__":
    main()
