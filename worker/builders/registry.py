"""Which builder makes what a kind of target can start."""

from worker.builders.base import Builder, BuildSettings
from worker.builders.environment import EnvironmentBuilder
from worker.builders.fake import FakeBuilder
from worker.builders.image.builder import ImageBuilder
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

BUILDERS: dict[str, type[EnvironmentBuilder] | type[ImageBuilder] | type[FakeBuilder]] = {
    "environment": EnvironmentBuilder,
    "image": ImageBuilder,
    "fake": FakeBuilder,
}
BUILDER_OF_TARGET = {"process": "environment", "docker": "image", "swarm": "image", "fake": "fake"}


def open_builder(kind: str, settings: BuildSettings | None = None) -> Builder:
    """The builder of that kind; ToolError ``unknown_builder`` (permanent) names those there are."""
    if kind not in BUILDERS:
        words = gettext_noop("There is no builder %(kind)s. Builders here: %(known)s.")
        known = ", ".join(sorted(BUILDERS))
        raise ToolError(Message(words, {"kind": kind, "known": known}), kind="unknown_builder", permanent=True)
    return BUILDERS[kind](settings)
