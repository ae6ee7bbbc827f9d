"""What these tests build: the small model of the builders' tests, and the settings to build it under."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tests.engines.build_hosts import BuildHost
from tests.engines.registries import Registry
from tests.worker.builders.making import make_spec, store_model
from worker.builders.base import BuildSettings
from worker.specs import BuildSpec

SERVING = (f"onnxruntime=={version('onnxruntime')}",)
KEYS = (b"k" * 32,)
NOWHERE = "tcp://127.0.0.1:9"  # a build host that does not answer: whoever needs one fails


def settings_for(registry: Registry, host: BuildHost | None = None) -> BuildSettings:
    """Settings that use this registry; without a host every set of packages has to be there already."""
    settings = BuildSettings(registry=registry.access, signing_keys=KEYS, build_host=NOWHERE)
    if host is None:
        return settings
    return replace(settings, build_host=host.url, build_network=host.network, ca_bundle=host.ca_bundle)


def double(folder: Path) -> BuildSpec:
    """The model that doubles, with what it needs to be served."""
    return make_spec(folder, SERVING)


def retrained(spec: BuildSpec, folder: Path) -> BuildSpec:
    """The same model with other weights: a name in the graph that no calculation reads."""
    data = spec.file.path.read_bytes().replace(b"double", b"DOUBLE")
    return replace(spec, version="2", file=store_model(folder, data))
