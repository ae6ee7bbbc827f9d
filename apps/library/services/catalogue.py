"""Models: their names, and what people say about them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import Project
from apps.audit.services import record
from apps.core.actors import Actor
from apps.core.errors import Invalid, NotAllowed
from apps.library import index
from apps.library.models import MLModel
from apps.library.names import check_model_name, check_tags


@transaction.atomic
def create_model(
    *, actor: Actor, project: Project, name: str, description: str = "", task: str = "", tags: Iterable[str] = ()
) -> MLModel:
    """A new model without versions. The name is part of addresses and never changes."""
    actor.require("model.edit", project)
    check_model_name(name)
    if MLModel.objects.filter(project=project, name=name).exists():
        raise Invalid(
            _("There is a model called “%(name)s” in this project already.") % {"name": name},
            advice=_("Choose another name, or upload a new version of that model."),
            errors={"name": [_("This name is taken.")]},
        )
    model = MLModel.objects.create(
        project=project,
        name=name,
        description=description,
        task=task,
        tags=check_tags(tags),
        created_by_id=actor.user_id,
    )
    index.remember(model, card="")
    record(actor, "model.created", model, after={"name": name, "task": task, "tags": model.tags})
    return model


@transaction.atomic
def edit_model(
    *,
    actor: Actor,
    model: MLModel,
    description: str | None = None,
    task: str | None = None,
    tags: Iterable[str] | None = None,
) -> MLModel:
    """Change what is said about a model; what is None stays as it is."""
    actor.require("model.edit", model.project)
    wanted: dict[str, Any] = {
        "description": description,
        "task": task,
        "tags": None if tags is None else check_tags(tags),
    }
    changed = {name: value for name, value in wanted.items() if value not in (None, getattr(model, name))}
    before = {name: getattr(model, name) for name in changed}
    for name, value in changed.items():
        setattr(model, name, value)
    model.save(update_fields=[*changed, "updated_at"])
    index.remember(model)
    record(actor, "model.edited", model, before=before, after=changed)
    return model


def tag_models(*, actor: Actor, models: Iterable[MLModel], tag: str) -> tuple[list[str], dict[str, str]]:
    """Put one tag on each of these models, each on its own and with an audit entry of its own.

    Returns the names of those that got it and did not have it yet, and by name why the others could not.
    """
    return _set_tags(actor, {model: [*model.tags, tag] for model in models if tag not in model.tags})


def untag_models(*, actor: Actor, models: Iterable[MLModel], tag: str) -> tuple[list[str], dict[str, str]]:
    """Take one tag off each of these models, as ``tag_models`` puts it on."""
    without = {model: [one for one in model.tags if one != tag] for model in models if tag in model.tags}
    return _set_tags(actor, without)


def _set_tags(actor: Actor, wanted: Mapping[MLModel, list[str]]) -> tuple[list[str], dict[str, str]]:
    changed, refused = [], {}
    for model, tags in wanted.items():
        try:
            edit_model(actor=actor, model=model, tags=tags)
            changed.append(model.name)
        except (NotAllowed, Invalid) as error:
            refused[model.name] = str(error.message)
    return changed, refused
