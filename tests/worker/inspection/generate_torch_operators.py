"""Lists the operators that PyTorch's exporters know, to be compared with ``worker/inspection/torch_operators.txt``.

Run it in an environment with torch and onnxscript. It prints what the two registries of ``torch.onnx`` have beyond the
list; each is read about before it is added, and nothing that touches files, prints or loads code ever is.
"""

import importlib
import pkgutil
import re
import sys
from pathlib import Path

from torch.onnx._internal import torchscript_exporter
from torch.onnx._internal.exporter._registration import ONNXRegistry
from torch.onnx._internal.torchscript_exporter import registration

LIST = Path(__file__).parents[3] / "worker" / "inspection" / "torch_operators.txt"


def exported() -> set[str]:
    """Names of the space ``aten`` in either registry, without overloads."""
    for module in pkgutil.iter_modules(torchscript_exporter.__path__):
        if module.name.startswith("symbolic_opset"):
            importlib.import_module(f"{torchscript_exporter.__name__}.{module.name}")
    known = set(registration.registry.all_functions())
    known |= {target.name() for target in ONNXRegistry.from_torchlib().functions if hasattr(target, "overloadpacket")}
    names = {name.partition("::")[2].partition(".")[0] for name in known if name.startswith("aten::")}
    return {name for name in names if re.fullmatch(r"\w+", name)}


if __name__ == "__main__":
    lines = LIST.read_text("utf-8").splitlines()
    listed = {name for line in lines if not line.startswith("#") for name in line.split()}
    sys.stdout.write("\n".join(sorted(exported() - listed)) + "\n")
