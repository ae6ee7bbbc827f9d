"""Says whose weights a safetensors file holds, from the ``config.json`` beside it, and what to upload instead.

Weights alone cannot be served: how to compute with them is Python code of a library, which is not run here.
"""

import json
import re
from collections.abc import Sequence

from worker.inspection import foreign
from worker.inspection.candidates import Candidate
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

CONFIG_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_WRITERS = re.compile(r".*(?:ForCausalLM|LMHeadModel|ForConditionalGeneration)")

_EXPORT = gettext_noop(
    "Export the model with its architecture: optimum-cli export onnx --model <this folder> <another folder>, and upload"
    " the .onnx file that it writes (with its .onnx_data, if there is one)."
)
_LANGUAGE = gettext_noop(
    "Models that write text need a server of their own kind. For embeddings or classification, export a model with"
    " such a head to ONNX (optimum-cli export onnx) and upload that."
)
_PIPELINE = gettext_noop(
    "Export this part with optimum-cli export onnx or torch.onnx.export, and upload the ONNX file."
)


def refuse(found: Sequence[Candidate], weights: Candidate) -> Refusal:
    """The refusal of a file of weights; names the architecture where it is told beside it."""
    architecture, family = _architecture(found, weights)
    details = {"kind": "safetensors", "architecture": architecture, "family": family}
    if not architecture:
        reason, advice = foreign.FORMATS["safetensors"]
        return Refusal(Message(reason), Message(advice), details)
    reason = gettext_noop("These are the weights of a %(architecture)s, without the code that computes with them.")
    advice = _PIPELINE if family == "diffusers" else _LANGUAGE if _WRITERS.fullmatch(architecture) else _EXPORT
    return Refusal(Message(reason, {"architecture": architecture}), Message(advice), details)


def _architecture(found: Sequence[Candidate], weights: Candidate) -> tuple[str, str]:
    """The class in the ``config.json`` of the same folder and the library's word for its family, or two empty texts."""
    config = next((c for c in found if c.name == weights.folder + "config.json" and c.size <= CONFIG_BYTES), None)
    try:
        data = json.loads(config.path.read_bytes()) if config else {}
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    listed = data.get("architectures")
    name = listed[0] if isinstance(listed, list) and listed else data.get("_class_name")
    family = "diffusers" if "_class_name" in data else data.get("model_type")
    return _plain(name), _plain(family)


def _plain(name: object) -> str:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""
