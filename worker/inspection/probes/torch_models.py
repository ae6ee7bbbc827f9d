"""PyTorch: opens TorchScript and exported graphs, finds inputs that fit them, and exports them to ONNX."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker.inspection.probes import samples
from worker.inspection.probes.models import DTYPES, Arrays, Origin, Tensor
from worker.inspection.probes.reporting import Failure, describe

ROWS = 12  # of made-up input: enough to see that rows are free, few enough for large networks
_IMAGES = (224, 64, 32, 28, 299)  # edges of pictures that networks are made for
_LENGTHS = (16, 128, 512)  # of sequences

_WORDS = {
    torch.bool: "BOOL", torch.uint8: "UINT8", torch.int8: "INT8", torch.int16: "INT16", torch.int32: "INT32",
    torch.int64: "INT64", torch.float16: "FP16", torch.float32: "FP32", torch.float64: "FP64",
}  # fmt: skip


def open_model(path: Path, kind: str) -> "Network":
    """The network in an archive."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return Script(path) if kind == "torchscript" else Exported(path)


class Network:
    """A network with our signature around it."""

    library = "torch"

    def __init__(self, kind: str, version: str = "") -> None:
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.names: list[str] = []  # of the outputs, in their order
        self.has_free_rows = False
        self.origin = Origin(kind, version)
        self.call: Any = None

    def predict(self, arrays: Arrays) -> Arrays:
        answers = _flat(self.call(*[torch.from_numpy(np.ascontiguousarray(arrays[t.name])) for t in self.inputs]))
        self.names = ["output"] if len(answers) == 1 else [f"output_{index}" for index in range(len(answers))]
        return {name: answer.detach().numpy() for name, answer in zip(self.names, answers, strict=True)}

    def made_up(self, rows: int) -> Arrays:
        return samples.for_tensors(self.inputs, rows)


def _flat(answer: Any) -> list[torch.Tensor]:
    """The tensors of an answer, in the order in which the exporters write them."""
    if isinstance(answer, torch.Tensor):
        return [answer]
    items = list(answer.values()) if isinstance(answer, dict) else answer if isinstance(answer, list | tuple) else None
    if not items:
        raise Failure("unusual_outputs", kind=type(answer).__name__)
    return [tensor for item in items if item is not None for tensor in _flat(item)]


class Exported(Network):
    """A graph of torch.export: it knows the names, types and shapes of its inputs."""

    def __init__(self, path: Path) -> None:
        super().__init__("ExportedProgram")
        self.program = torch.export.load(path)
        self.call = self.program.module()

    def learn_inputs(self, example: Any) -> Arrays:
        wanted = set(self.program.graph_signature.user_inputs)
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and node.name in wanted:
                self.inputs.append(_tensor_of(node))
        self.has_free_rows = all(tensor.shape[:1] == (-1,) for tensor in self.inputs)
        return self.made_up(ROWS)

    def convert(self, target: Path) -> None:
        """Write the graph; the exporter keeps the names of the inputs."""
        made = torch.onnx.export(self.program, dynamo=True, verbose=False, output_names=self.names)
        assert made is not None
        target.write_bytes(made.model_proto.SerializeToString())


def _tensor_of(node: Any) -> Tensor:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.dtype not in _WORDS:
        raise Failure("unusual_inputs", names=[node.name])
    return Tensor(node.name, _WORDS[value.dtype], tuple(n if isinstance(n, int) else -1 for n in value.shape))


class Script(Network):
    """A TorchScript module: it knows how many inputs it takes, and nothing of their shapes."""

    def __init__(self, path: Path) -> None:
        self.module = torch.jit.load(str(path), map_location="cpu").eval()
        super().__init__(str(self.module.original_name))
        self.call = self.module.forward
        taken = self.module.forward.schema.arguments[1:]
        self.arguments = [argument.name for argument in taken if not argument.has_default_value()]
        odd = [a.name for a in taken if not a.has_default_value() and str(a.type) != "Tensor"]
        if odd or not self.arguments:
            raise Failure("unusual_inputs", names=odd or ["none"])

    def learn_inputs(self, example: Any) -> Arrays:
        """Take the shapes of the example, or guess them from the first weights; free rows are found by trying."""
        error = ""
        for inputs in self._given(example) if example else self._guesses():
            self.inputs = inputs
            try:
                self.predict(self.made_up(2))
            except Exception as failure:  # a wrong guess ends in whatever an operator raises
                error = describe(failure)
                continue
            self._free_rows()
            return self.made_up(ROWS if self.has_free_rows else 1)
        raise Failure("no_example", error=error or "several inputs")

    def _given(self, example: Any) -> Iterator[list[Tensor]]:
        items = {item["name"]: item for item in example["inputs"]}
        chosen = list(items.values()) if set(items) != set(self.arguments) else [items[name] for name in self.arguments]
        if len(chosen) == len(self.arguments) and all(item.get("datatype") in DTYPES for item in chosen):
            shapes = [tuple(int(size) for size in item["shape"]) for item in chosen]
            words = [item["datatype"] for item in chosen]
            yield [Tensor(*each) for each in zip(self.arguments, words, shapes, strict=True)]

    def _guesses(self) -> Iterator[list[Tensor]]:
        if len(self.arguments) > 1:
            return
        for datatype, shape in _shapes([tuple(weight.shape) for weight in self.module.parameters()] or self._buffers()):
            yield [Tensor(self.arguments[0], datatype, (1, *shape))]

    def _buffers(self) -> list[tuple[int, ...]]:
        """Shapes of the constants of a frozen module, whose weights are no parameters any more."""
        nodes = self.module.forward.graph.findAllNodes("prim::Constant", recurse=True)
        values = [node.output().toIValue() for node in nodes]
        return [tuple(value.shape) for value in values if isinstance(value, torch.Tensor) and value.dim() > 1]

    def _free_rows(self) -> None:
        """Whether the first dimension is one of rows: five rows in, five out, each as if it were alone."""
        fixed = self.inputs
        self.inputs = [Tensor(t.name, t.datatype, (-1, *t.shape[1:])) for t in fixed]
        try:
            arrays = self.made_up(5)
            together = self.predict(arrays)
            alone = self.predict({name: array[3:4] for name, array in arrays.items()})
            self.has_free_rows = all(
                array.shape[:1] == (5,) and np.allclose(array[3:4], alone[name], atol=1e-4, rtol=1e-3, equal_nan=True)
                for name, array in together.items()
            )
        except Exception:  # a fixed number of rows ends in whatever an operator raises
            self.has_free_rows = False
        if not self.has_free_rows:
            self.inputs = fixed

    def convert(self, target: Path) -> None:
        names = [tensor.name for tensor in self.inputs]
        axes = {name: {0: "rows"} for name in (*names, *self.names)} if self.has_free_rows else None
        arrays = self.made_up(2)
        given = tuple(torch.from_numpy(arrays[name]) for name in names)
        torch.onnx.export(
            self.module, given, str(target), dynamo=False, input_names=names, output_names=self.names, dynamic_axes=axes
        )


def _shapes(weights: list[tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Inputs that a network might take, by the shape of its first weights; without the dimension of rows."""
    for shape in [shape for shape in weights if len(shape) > 1][:3]:
        width = shape[1]
        if len(shape) == 2:
            yield "FP32", (width,)
            yield from (("FP32", (length, width)) for length in _LENGTHS[:1])
            yield from (("INT64", (length,)) for length in _LENGTHS[:1])
        elif len(shape) == 3:
            yield from (("FP32", (width, length)) for length in _LENGTHS)
        elif len(shape) == 4:
            yield from (("FP32", (width, edge, edge)) for edge in _IMAGES)
        elif len(shape) == 5:
            yield "FP32", (width, 16, 64, 64)
