"""What people fill in here: a new version, what is said about a model, a tag for many, a reason."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Invalid
from apps.library.companions import check_example
from apps.library.names import MODEL_PATTERN, check_model_name, check_tags

TASKS = (
    "classification",
    "regression",
    "ranking",
    "embedding",
    "detection",
    "segmentation",
    "generation",
    "forecasting",
)


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files; empty without one."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return [super(FilesField, self).clean(one) for one in data or []]


class UploadForm(forms.Form):
    """A new version: finished uploads by id, or, where no script runs, the files themselves."""

    model = forms.CharField(
        label=_("Model"),
        max_length=64,
        help_text=_("An existing one gets a new version; a new name makes a new model."),
        widget=forms.TextInput(
            {
                "list": "known-models",
                "autocomplete": "off",
                "spellcheck": "false",
                "pattern": MODEL_PATTERN,
                "title": _("Small letters, digits, hyphens and underscores; the first is a letter or a digit."),
            }
        ),
    )
    description = forms.CharField(
        label=_("What is new in this version?"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea({"rows": 2}),
    )
    labels = forms.CharField(
        label=_("Labels"),
        required=False,
        help_text=_("One a line, e.g. commit=4f1c2aa"),
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
    )
    example = forms.CharField(
        label=_("Example input"),
        required=False,
        max_length=1 << 20,
        help_text=_("An inference request as JSON. It is run in the sandbox and kept with its answer."),
        widget=forms.Textarea({"rows": 4, "spellcheck": "false", "class": "code-input"}),
    )
    parent = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)
    uploads = forms.CharField(required=False, widget=forms.HiddenInput)
    files = FilesField(required=False)  # type: ignore[assignment]

    def clean_model(self) -> str:
        return _checked("model", lambda: check_model_name(self.cleaned_data["model"].strip()))

    def clean_labels(self) -> dict[str, str]:
        lines = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        pairs = [line.partition("=") for line in lines]
        if any(not key.strip() or not equals for key, equals, _value in pairs):
            raise forms.ValidationError(_("Write each label as name=value on a line of its own."))
        return {key.strip(): value.strip() for key, _equals, value in pairs}

    def clean_example(self) -> dict[str, Any] | None:
        text = self.cleaned_data["example"].strip()
        if not text:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not valid JSON: %(reason)s"), params={"reason": error}) from error
        return _checked("example", lambda: check_example(value))

    def clean_uploads(self) -> list[UUID]:
        try:
            return [UUID(part) for part in self.cleaned_data["uploads"].split()]
        except ValueError as error:
            raise forms.ValidationError(_("These are not uploads.")) from error

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if not facts.get("uploads") and not facts.get("files"):
            raise forms.ValidationError(_("Add the file that holds the model."))
        return facts


class ModelForm(forms.Form):
    """What people say about a model."""

    description = forms.CharField(
        label=_("Description"), max_length=20_000, required=False, widget=forms.Textarea({"rows": 4})
    )
    task = forms.CharField(
        label=_("Task"), max_length=60, required=False, widget=forms.TextInput({"list": "known-tasks"})
    )
    tags = forms.CharField(label=_("Tags"), required=False, help_text=_("Separated by spaces or commas."))

    def clean_tags(self) -> list[str]:
        return _checked("tags", lambda: check_tags(self.cleaned_data["tags"].replace(",", " ").split()))


class CardForm(forms.Form):
    """A card, and the revision that it was made from."""

    card = forms.CharField(
        label=_("Model card"),
        required=False,
        strip=False,
        help_text=_("Markdown; metadata between two lines “---” at the top, as model hubs write it."),
        widget=forms.Textarea({"rows": 26, "spellcheck": "true", "class": "code-input"}),
    )
    base = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


class TagForm(forms.Form):
    """One tag for several models at once."""

    tag = forms.CharField(max_length=40)
    models = forms.MultipleChoiceField(choices=())

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["models"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def clean_tag(self) -> str:
        return _checked("tags", lambda: check_tags([self.cleaned_data["tag"]]))[0]


def _checked(field: str, check: Any) -> Any:
    """A domain rule as a form's rule: the same sentence, beside the field."""
    try:
        return check()
    except Invalid as refusal:
        raise forms.ValidationError(f"{refusal.message} {refusal.advice}".strip(), code=field) from refusal
