"""Nothing is started on the word of a provenance that is not ours, was changed, or speaks of something else."""

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from worker.builders.image.client import digest_of
from worker.builders.image.documents import canonical
from worker.builders.image.provenance import key_id, make_statement, open_envelope, public_key, resource, sign
from worker.builders.image.verification import verify
from worker.errors import ToolError

SEED, OLDER = b"1" * 32, b"0" * 32
NAME, DIGEST = "registry.example/slipway/models", f"sha256:{'d' * 64}"
LOCATION = f"{NAME}@{DIGEST}"
SBOM = {"bomFormat": "CycloneDX", "components": []}
Json = dict[str, Any]


def attached(seed: bytes = SEED) -> Json:
    statement = make_statement(
        name=NAME,
        digest=DIGEST,
        external={"model": "digits", "version": "3", "subject": "approved"},
        dependencies=[resource("model.onnx", "e" * 64)],
        byproducts=[resource("sbom", digest_of(canonical(SBOM)))],
        times={},
    )
    return {"sbom": SBOM, "provenance": sign(statement, seed)}


def look(attachments: Json, **other: Any) -> None:
    words: Json = {"location": LOCATION, "digest": DIGEST, "subject": "approved", "keys": [SEED]}
    verify(attachments, **{**words, **other})


def refused(attachments: Json, **other: Any) -> str:
    with pytest.raises(ToolError) as caught:
        look(attachments, **other)
    assert (caught.value.kind, caught.value.permanent) == ("provenance_invalid", True)
    return str(caught.value)


def test_what_was_built_from_what_was_approved_passes() -> None:
    look(attached())


def test_an_older_key_of_ours_still_counts() -> None:
    look(attached(OLDER), keys=[SEED, OLDER])


def test_a_strange_key_does_not() -> None:
    assert "not signed by a key of this installation" in refused(attached(b"2" * 32))


def test_every_flipped_byte_of_payload_and_signature_is_noticed() -> None:
    good = attached()
    envelope = good["provenance"]
    for part, place in (("payload", envelope), ("sig", envelope["signatures"][0])):
        data = base64.b64decode(place[part])
        for index in range(0, len(data), 13):
            bad = copy.deepcopy(good)
            target = bad["provenance"] if part == "payload" else bad["provenance"]["signatures"][0]
            flipped = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
            target[part] = base64.b64encode(flipped).decode()
            assert "not signed by a key of this installation" in refused(bad)


def test_the_type_of_the_payload_is_signed_with_it() -> None:
    bad = attached()
    bad["provenance"]["payloadType"] = "application/json"
    assert "not signed by a key of this installation" in refused(bad)


@pytest.mark.parametrize(
    "change",
    [lambda one: one.pop("provenance"), lambda one: one.update(provenance=None), lambda one: one.update(provenance=[]),
     lambda one: one["provenance"].pop("signatures"), lambda one: one["provenance"].update(payload="?!"),
     lambda one: one["provenance"].update(signatures=[{}]), lambda one: one["provenance"].update(signatures="x")],
)  # fmt: skip
def test_what_is_no_envelope_is_refused_as_such(change: Callable[[Json], Any]) -> None:
    bad = attached()
    change(bad)
    assert "not a DSSE envelope" in refused(bad)


def test_the_provenance_of_another_image_does_not_help() -> None:
    other = f"sha256:{'f' * 64}"
    assert "another image" in refused(attached(), digest=other, location=f"{NAME}@{other}")
    assert "another image" in refused(attached(), location=f"elsewhere.example/slipway/models@{DIGEST}")


def test_an_image_of_another_approval_is_refused() -> None:
    assert "for another subject" in refused(attached(), subject="changed since")


def test_a_changed_bill_of_materials_is_refused() -> None:
    bad = attached()
    bad["sbom"] = {**SBOM, "components": [{"name": "left-pad"}]}
    assert "bill of materials" in refused(bad)
    assert "bill of materials" in refused({**attached(), "sbom": None})


def test_the_envelope_can_be_checked_with_the_public_key_alone() -> None:
    envelope = attached()["provenance"]
    key = load_pem_public_key(public_key(SEED).encode())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)  # type: ignore[union-attr, call-arg]
    assert envelope["signatures"][0]["keyid"] == key_id(key)  # type: ignore[arg-type]
    assert open_envelope(envelope, [SEED]) == json.loads(payload)
