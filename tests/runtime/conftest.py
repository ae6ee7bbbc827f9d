"""Running servers that many stories share: they are only read from."""

from collections.abc import Iterator

import pytest

from tests.runtime import bundles
from tests.runtime.replicas import Replica, start


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A logistic regression on digits, converted to ONNX; bodies up to 1 MiB."""
    bundle = bundles.logistic_bundle(tmp_path_factory.mktemp("digits") / "bundle", labels=[str(n) for n in range(10)])
    with start(bundle, SLIPWAY_MAX_BODY=str(1 << 20), SLIPWAY_REPLICA="digits-0") as replica:
        yield replica


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """Every datatype, given back unchanged."""
    with start(bundles.echo_bundle(tmp_path_factory.mktemp("echo") / "bundle")) as replica:
        yield replica
