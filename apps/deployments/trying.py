"""Trying an endpoint from its page: a request made from the signature, sent to one healthy replica.

It goes past the gateway, so it is not metered and needs no key; the person needs ``endpoint.invoke``.
"""

import http.client
import json
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from django.utils.translation import gettext as _

from apps.core.actors import Actor
from apps.core.errors import Invalid, StateConflict, Unavailable
from apps.deployments.credentials import open_secret
from apps.deployments.golden import Gap, compare_answer
from apps.deployments.models import Deployment, Replica
from apps.deployments.selectors import live, running_for
from apps.library.models import ModelVersion
from apps.targets.models import Endpoint

TIMEOUT_SECONDS = 30.0
ANSWER_LIMIT = 5 << 20


@dataclass(frozen=True)
class Answer:
    """What the replica said: status, body (parsed where it is JSON), and how long it took in seconds."""

    status: int
    body: Any
    seconds: float
    replica: str

    @property
    def text(self) -> str:
        return json.dumps(self.body, indent=2, ensure_ascii=False) if not isinstance(self.body, str) else self.body


@dataclass(frozen=True)
class Run:
    """The golden sample at one deployment: the answer and its gaps, or the problem why there is none."""

    deployment: Deployment
    answer: Answer | None = None
    gaps: list[Gap] = field(default_factory=list)
    problem: str = ""

    @property
    def is_same(self) -> bool:
        return bool(self.answer and self.answer.status == 200 and all(gap.is_same for gap in self.gaps))


def try_endpoint(*, actor: Actor, endpoint: Endpoint, request: dict[str, Any]) -> Answer:
    """Send an inference request (``{"inputs": […]}``) to a healthy replica of what is live."""
    actor.require("endpoint.invoke", endpoint.project)
    return _ask(live(endpoint), request)


def run_golden(*, actor: Actor, version: ModelVersion) -> list[Run]:
    """Send a version's golden request wherever it runs, and set each answer beside the stored one."""
    actor.require("endpoint.invoke", version.project)
    deployments = running_for(version.project, version.model.name, version.number)
    if not deployments or not version.golden.get("request"):
        raise StateConflict(_("%(version)s runs nowhere now, or has no golden sample.") % {"version": version})
    return [_run(deployment, version) for deployment in deployments]


def _run(deployment: Deployment, version: ModelVersion) -> Run:
    try:
        answer = _ask(deployment, version.golden["request"])
    except (StateConflict, Unavailable) as error:
        return Run(deployment, problem=str(error.message))
    return Run(deployment, answer, compare_answer(version.golden.get("response") or {}, answer.body))


def _ask(deployment: Deployment | None, request: dict[str, Any]) -> Answer:
    """What one of the deployment's healthy replicas says."""
    running = deployment.replica_set.filter(state=Replica.State.RUNNING) if deployment else Replica.objects.none()
    replica = running.order_by("?").first()
    if deployment is None or replica is None:
        raise StateConflict(_("Nothing is running at this endpoint that could answer."))
    path = f"/v2/models/{deployment.release.version.model.name}/infer"
    started = perf_counter()
    try:
        status, text = _post(replica, path, json.dumps(request).encode())
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(_("The replica did not answer: %(reason)s") % {"reason": error}) from error
    return Answer(status, _parsed(text), perf_counter() - started, replica.name)


def request_of(text: str) -> dict[str, Any]:
    """An inference request that was written as JSON; Invalid says what it is not."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(_("This is not JSON: %(reason)s") % {"reason": error}) from error
    if not isinstance(body, dict):
        raise Invalid(_("An inference request is a JSON object with “inputs”."))
    return body


def request_from(signature: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    """An inference request out of one JSON text per input tensor; raises Invalid by input name."""
    inputs, errors = [], {}
    for tensor in signature.get("inputs", []):
        try:
            values = json.loads(data.get(tensor["name"], ""))
            shape = fit_shape(tensor["shape"], values)
        except ValueError as error:
            errors[tensor["name"]] = [str(error)]
            continue
        inputs.append({"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": values})
    if errors:
        raise Invalid(_("These inputs do not fit the signature."), errors=errors)
    return {"inputs": inputs}


def fit_shape(expected: list[int], values: Any) -> list[int]:
    """The shape of ``values`` (nested, or flat) as the signature has it, with the free dimension worked out."""
    if not isinstance(values, list):
        raise ValueError(_("Write a JSON list of values."))
    nested = _nested_shape(values)
    if len(nested) == len(expected):
        return nested
    count = _size(nested)
    known = _size([size for size in expected if size != -1])
    free = [index for index, size in enumerate(expected) if size == -1]
    if not known or count % known or (not free and count != known):
        raise ValueError(
            _("%(count)d values do not fill a tensor of shape %(shape)s.") % {"count": count, "shape": expected}
        )
    shape = [1 if size == -1 else size for size in expected]
    if free:
        shape[free[0]] = count // known
    return shape


def _nested_shape(values: Any) -> list[int]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return shape


def _size(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _post(replica: Replica, path: str, body: bytes) -> tuple[int, str]:
    secret = open_secret(replica.name, replica.sealed)
    host, _colon, port = replica.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", path, body, headers={"Content-Type": "application/json", "X-Slipway-Secret": secret})
        response = connection.getresponse()
        return response.status, response.read(ANSWER_LIMIT).decode(errors="replace")
    finally:
        connection.close()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
