"""What of a container's record tells which bytes it runs."""

import pytest

from worker.drivers.docker_host.reading import digest_of


@pytest.mark.parametrize(
    ("image", "digest"),
    [
        ("registry:5000/slipway/digits@sha256:11", "sha256:11"),
        ("somebody/elses:latest", "somebody/elses:latest"),
        ("sha256:22", ""),
    ],
    ids=["as we name it", "another image", "the engine's own id"],
)
def test_the_digest_of_a_container(image: str, digest: str) -> None:
    assert digest_of(image) == digest
