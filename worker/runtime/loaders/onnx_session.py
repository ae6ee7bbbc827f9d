"""ONNX models, run by onnxruntime."""

import ctypes
from collections.abc import Sequence

import onnxruntime

from ..errors import StartError
from ..log import write_log
from ..manifest import Manifest
from ..tensors import Array
from .base import Rejected

_InvalidArgument = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument
_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxModel:
    """One session; the names of the signature are the graph's own."""

    def __init__(self, session: onnxruntime.InferenceSession, inputs: list[str], outputs: list[str]) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs = outputs
        self.detail = f"onnxruntime {onnxruntime.__version__} on {session.get_providers()[0]}"

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            result: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        except _InvalidArgument as error:
            raise Rejected(str(error)) from error
        return result


def load(manifest: Manifest, threads: int) -> OnnxModel:
    """Open a session with ``threads`` threads, none of them spinning: neighbours on the machine need the cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = _open(str(manifest.file), options)
    inputs = [tensor.name for tensor in manifest.signature.inputs]
    outputs = [tensor.name for tensor in manifest.signature.outputs]
    _check_names(session, inputs, outputs)
    return OnnxModel(session, inputs, outputs)


def _open(path: str, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """On the GPU where the packages are those for one; on the processor, and saying so, where it cannot be used."""
    if _GPU not in onnxruntime.get_available_providers():
        return onnxruntime.InferenceSession(path, options, providers=[_CPU])
    onnxruntime.preload_dlls(directory="")  # CUDA's libraries lie among the packages
    session = onnxruntime.InferenceSession(path, options, providers=[_GPU, _CPU])
    if _GPU not in session.get_providers():
        write_log("runs_without_gpu", "warning", reason=_why_no_gpu())
    return session


def _why_no_gpu() -> str:
    """The driver's library is the machine's own: a container has it only where it was given a GPU."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"no GPU was given to this container, or its machine lacks the driver ({error}); it runs on processors"
    return "CUDA cannot use this machine's GPU or driver (see the lines before this one); it runs on processors"


def _check_names(session: onnxruntime.InferenceSession, inputs: list[str], outputs: list[str]) -> None:
    graph_inputs = {node.name for node in session.get_inputs()}
    graph_outputs = {node.name: node.type for node in session.get_outputs()}
    if set(inputs) != graph_inputs:
        raise StartError(f"the signature's inputs are {sorted(inputs)}, the graph's are {sorted(graph_inputs)}")
    for name in outputs:
        if name not in graph_outputs:
            raise StartError(f"the graph has no output {name!r}; it has {sorted(graph_outputs)}")
        if not graph_outputs[name].startswith("tensor("):
            raise StartError(
                f"the output {name!r} is a {graph_outputs[name]}, and only tensors can be served: "
                "convert the model without ZipMap"
            )
