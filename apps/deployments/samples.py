"""Ready-to-paste calls of an endpoint: curl, Python with the standard library, and tritonclient.

Names and values are the uploader's: each goes in as a literal of the language that it is pasted into.
"""

import json
import shlex
from dataclasses import dataclass
from typing import Any

NUMPY = {
    "BOOL": "bool_",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object_",
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Sample:
    name: str
    code: str


def samples(url: str, model: str, request: dict[str, Any]) -> list[Sample]:
    """``request`` is an inference request, normally the version's golden one."""
    return [
        Sample("curl", curl(url, model, request)),
        Sample("Python", python(url, model, request)),
        Sample("tritonclient", triton(url, model, request)),
    ]


def curl(url: str, model: str, request: dict[str, Any]) -> str:
    return (
        f"curl {shlex.quote(_infer_url(url, model))} \\\n"
        f'  -H "Authorization: Bearer $SLIPWAY_KEY" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(request))}"
    )


def python(url: str, model: str, request: dict[str, Any]) -> str:
    return f"""import json, os, urllib.request

call = urllib.request.Request(
    {_infer_url(url, model)!r},
    data=json.dumps({request!r}).encode(),
    headers={{"Authorization": "Bearer " + os.environ["SLIPWAY_KEY"], "Content-Type": "application/json"}},
)
print(json.load(urllib.request.urlopen(call))["outputs"])"""


def triton(url: str, model: str, request: dict[str, Any]) -> str:
    """tritonclient takes the address without its scheme, and sends tensors in binary by default."""
    scheme, _, place = url.partition("://")
    secured = ", ssl=True" if scheme == "https" else ""
    lines = ["import os", "import numpy as np", "import tritonclient.http as triton", ""]
    lines.append(f"client = triton.InferenceServerClient({place!r}{secured})")
    for number, tensor in enumerate(request["inputs"]):
        name, shape, datatype = tensor["name"], tensor["shape"], tensor["datatype"]
        kind = NUMPY.get(datatype, "float32")
        lines.append(f"values{number} = np.array({tensor['data']!r}, dtype=np.{kind}).reshape({shape!r})")
        lines.append(f"input{number} = triton.InferInput({name!r}, {shape!r}, {datatype!r})")
        lines.append(f"input{number}.set_data_from_numpy(values{number})")
    names = ", ".join(f"input{number}" for number in range(len(request["inputs"])))
    lines.append('headers = {"Authorization": "Bearer " + os.environ["SLIPWAY_KEY"]}')
    lines.append(f"answer = client.infer({model!r}, [{names}], headers=headers)")
    lines.append('for output in answer.get_response()["outputs"]:')
    lines.append('    print(output["name"], answer.as_numpy(output["name"]))')
    return "\n".join(lines)


def _infer_url(url: str, model: str) -> str:
    return f"{url}/v2/models/{model}/infer"


def short_request(request: dict[str, Any]) -> dict[str, Any]:
    """One row of the request where that keeps it readable; whole otherwise."""
    inputs = []
    for tensor in request.get("inputs", []):
        rows = tensor["shape"][0] if tensor.get("shape") else 1
        data, shape = tensor.get("data", []), tensor.get("shape", [])
        if rows > 1 and isinstance(data, list) and len(data) % rows == 0:
            data = data[: len(data) // rows]
            shape = [1, *shape[1:]]
        inputs.append({"name": tensor["name"], "shape": shape, "datatype": tensor["datatype"], "data": data})
    return {"inputs": inputs}
