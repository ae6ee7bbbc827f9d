"""A CI pipeline with a key: upload both ways, wait for the examination, propose; the rest is for people."""

from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient

from tests.journeys import deadlines, steps
from tests.journeys.calls import Answer, call, mistype, wait_until
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor

BOUNDARY = "a-line-that-is-in-no-model"


@pytest.fixture(scope="module")
def key(ada: Visitor) -> str:
    return steps.make_key(ada, "CI pipeline", scopes=("Read models", "Upload models", "Propose releases"))


@pytest.fixture(scope="module")
def api(slipway: Stack) -> str:
    return f"{slipway.web}/api/v1"


@pytest.fixture(scope="module")
def versions(api: str, key: str) -> str:
    """The address of the versions of a model that the pipeline has named."""
    models = f"{api}/projects/{steps.PROJECT}/models/"
    assert call(models, key=key, body={"name": "from-ci", "tags": ["ci"]}).status == 201
    return f"{models}from-ci/versions/"


@pytest.fixture(scope="module")
def uploaded(api: str, versions: str, key: str, files: Path) -> Any:
    """The version out of a resumable upload, as it is shown when its examination is over."""
    client = TusClient(f"{api}/uploads/", headers={"Authorization": f"Bearer {key}"})
    about = {"filename": "double.onnx", "project": steps.PROJECT}
    uploader = client.uploader(str(files / "double.onnx"), metadata=about, chunk_size=64)
    uploader.upload()
    assert uploader.url is not None
    upload_id = uploader.url.rstrip("/").rpartition("/")[2]
    made = call(versions, key=key, body={"upload": upload_id, "labels": {"commit": "4f1c2aa"}})
    assert made.status == 201, made.content
    return wait_until_examined(f"{versions}{made.json['version']}/", key)


def wait_until_examined(address: str, key: str) -> Any:
    def find() -> Any:
        shown = call(address, key=key).json
        return shown if shown["state"] in {"ready", "refused"} else None

    return wait_until(find, deadlines.EXAMINED, what=f"the examination of {address}")


def send_as_form(versions: str, key: str, file: Path) -> Answer:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    body = head.encode() + file.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
    return call(versions, key=key, body=body, headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def test_resumable_upload_becomes_a_ready_version(uploaded: Any) -> None:
    assert uploaded["state"] == "ready", uploaded["checks"]
    assert uploaded["labels"] == {"commit": "4f1c2aa"}
    assert {check["state"] for check in uploaded["checks"]} <= {"passed", "skipped"}
    assert uploaded["signature"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


def test_small_file_goes_along_as_a_form(versions: str, key: str, files: Path) -> None:
    answer = send_as_form(versions, key, files / "double.onnx")
    assert answer.status == 201, answer.content
    assert wait_until_examined(f"{versions}{answer.json['version']}/", key)["state"] == "ready"


def test_refused_file_tells_the_pipeline_why(versions: str, key: str, files: Path) -> None:
    answer = send_as_form(versions, key, files / "malicious.pkl")
    shown = wait_until_examined(f"{versions}{answer.json['version']}/", key)
    assert shown["state"] == "refused"
    failed = next(check for check in shown["checks"] if check["state"] == "failed")
    assert "eval" in failed["reason"]
    assert failed["advice"]


def test_key_proposes_and_cannot_approve(api: str, key: str, uploaded: Any, endpoint: str) -> None:
    releases = f"{api}/projects/{steps.PROJECT}/releases/"
    asked = {"model": "from-ci", "version": uploaded["version"], "endpoint": "digits", "note": "Built by CI"}
    release = call(releases, key=key, body=asked)
    assert release.status == 201, release.content
    decision = {"subject": release.json["subject"], "note": "Approving my own work"}
    refused = call(f"{releases}{release.json['id']}/approve/", key=key, body=decision)
    assert refused.status == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["request_id"]
    assert call(f"{releases}{release.json['id']}/", key=key).json["state"] == "in_review"


def test_key_may_not_do_what_it_has_no_scope_for(api: str, key: str) -> None:
    assert (
        call(f"{api}/keys/", key=key, body={"project": steps.PROJECT, "name": "More", "scopes": ["read"]}).status == 403
    )
    assert call(f"{api}/projects/elsewhere/models/", key=key).status == 404
    assert call(f"{api}/projects/", key=mistype(key)).status == 401
