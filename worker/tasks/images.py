"""What images need of the settings, and the look at one before it is started."""

from django.conf import settings

from apps.deployments.models import Deployment
from apps.releases.attachments import tell
from apps.releases.models import Build
from worker.builders.base import BuildSettings
from worker.builders.image.access import parse_address, registry_access
from worker.builders.image.runtime import REPOSITORY as RUNTIMES
from worker.builders.image.verification import verify, verify_stored
from worker.errors import ToolError
from worker.specs import ImageSource, RegistryAccess

IMAGE = "image"  # the builder whose results lie in the registry


def registry() -> RegistryAccess | None:
    """The registry of the settings; None where images are not used."""
    return registry_access(settings.SLIPWAY_REGISTRY_URL, settings.SLIPWAY_REGISTRY_CA)


def registry_of(build: Build) -> RegistryAccess | None:
    """Where a driver pulls what was built; None for what is no image."""
    return registry() if build.builder == IMAGE else None


def image_to_look_with() -> ImageSource | None:
    """The packages, without a model, of the newest image that was built; those for GPUs are too large for a look."""
    done = Build.objects.filter(builder=IMAGE, state=Build.State.DONE, release__options__gpus__isnull=True)
    build = done.order_by("-pk").first()
    told = tell(build) if build else None
    digest = dict(told.materials).get("runtime") if told else None
    try:
        access = registry()
        address = parse_address(access) if access else None
    except ToolError:  # whoever builds hears of it
        return None
    if not digest or address is None:
        return None
    return ImageSource(f"{address.host}/{address.repository(RUNTIMES)}@sha256:{digest}", access)


def build_settings() -> BuildSettings:
    return BuildSettings(
        index_url=settings.SLIPWAY_INDEX_URL,
        ca_bundle=settings.SLIPWAY_CA_BUNDLE,
        registry=registry(),
        base_image=settings.SLIPWAY_BASE_IMAGE,
        base_python=settings.SLIPWAY_BASE_PYTHON,
        build_host=settings.SLIPWAY_BUILD_HOST,
        build_host_certs=settings.SLIPWAY_BUILD_HOST_CERTS,
        build_network=settings.SLIPWAY_BUILD_NETWORK,
        signing_keys=tuple(settings.SLIPWAY_BUILD_KEYS),
    )


def refuse_tampered(deployment: Deployment) -> None:
    """Raise ToolError unless a deployment's image is the one that was built of what was approved.

    The provenance is held against the approval before every start. The registry's bytes are read before the first one
    only: a host that has the image needs no registry to start it again, and engines check what they pull by themselves.
    """
    build = deployment.build
    if build.builder != IMAGE:
        return
    verify(
        build.attachments or {},
        location=build.location,
        digest=build.digest,
        subject=deployment.release.subject,
        keys=tuple(settings.SLIPWAY_BUILD_KEYS),
    )
    access = registry()
    if deployment.live_at is None and access is not None:
        verify_stored(access, build.location)
