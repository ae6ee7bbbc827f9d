"""The people of tests/journeys, on the production of this package."""

from collections.abc import Iterator

import pytest

from tests.engines.journeys.production import Production, open_production
from tests.journeys import steps
from tests.journeys.conftest import (
    ada,
    chromium,
    dana,
    endpoint,
    files,
    invoke_key,
    live,
    no_troubles,
    omar,
    open_browser,
    proposal,
    regression,
    request_body,
    rhea,
    tree,
    visitors,
)
from tests.journeys.visitors import Visitor

__all__ = [
    "ada", "chromium", "dana", "endpoint", "files", "invoke_key", "live", "no_troubles", "omar", "open_browser",
    "proposal", "regression", "request_body", "rhea", "tree", "visitors",
]  # fmt: skip


@pytest.fixture(scope="package")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with open_production(tmp_path_factory.mktemp("production") / "home") as running:
        yield running


@pytest.fixture(scope="package", autouse=True)
def gpu_hosts(slipway: Production, ada: Visitor) -> None:
    """Production's endpoints run on the two Docker hosts."""
    slipway.add_target("gpu-hosts", "docker", slipway.hosts.config, slipway.hosts.secrets)
    use_target(ada, "production", "gpu-hosts")


def use_target(ada: Visitor, environment: str, target: str) -> None:
    """Ada lets an environment's endpoints run somewhere else."""
    ada.go(f"{steps.ROOM}/environments/{environment}/")
    ada.page.get_by_label("Target", exact=True).select_option(label=target)
    ada.press("Save")
