"""What people type about projects, members, keys and themselves. Rules live in the services; forms ask and shape."""

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from apps.accounts.roles import ROLES
from apps.accounts.services.keys import DEFAULT_DAYS, DEFAULT_RATE, INVOKE, MAX_DAYS, OVERLAP_HOURS
from apps.accounts.services.projects import QUOTA_LIMIT

GIGABYTE = 1 << 30

SCOPES = {
    "read": _("Read models, releases, endpoints and metrics"),
    "upload": _("Upload models"),
    "propose": _("Propose releases"),
    "deploy": _("Start, stop, scale and roll back"),
}


class SignInForm(LoginForm):
    """django-allauth's, with the words that our other pages use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail address")
        self.fields["login"].widget.attrs.pop("placeholder", None)


class SetupForm(forms.Form):
    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput({"autocomplete": "name"}))
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput({"autocomplete": "email"}))
    password = forms.CharField(
        label=_("Password"),
        help_text=_("12 characters or more; a few random words make a good one."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class AcceptForm(forms.Form):
    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput({"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        help_text=_("12 characters or more; a few random words make a good one."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class ProjectForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=80, widget=forms.TextInput({"placeholder": _("Fraud detection")})
    )
    slug = forms.CharField(
        label=_("Address"),
        max_length=40,
        help_text=_("The first part of every endpoint's address; it stays. Small letters, digits and hyphens."),
        widget=forms.TextInput({"data-slug-of": "name", "spellcheck": "false", "autocapitalize": "off"}),
    )
    description = forms.CharField(label=_("Description"), required=False, widget=forms.Textarea({"rows": 2}))


class ProjectEditForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80)
    description = forms.CharField(label=_("Description"), required=False, widget=forms.Textarea({"rows": 3}))
    quota_gb = forms.DecimalField(
        label=_("Storage quota (GB)"),
        min_value=0,
        max_value=QUOTA_LIMIT // GIGABYTE,
        decimal_places=3,
        help_text=_("For its uploads and versions together. Under what is stored, nothing more gets in."),
    )

    def __init__(self, *args: Any, may_set_quota: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_set_quota:
            del self.fields["quota_gb"]

    def facts(self) -> dict[str, Any]:
        """The cleaned values as the service takes them; a quota that nobody touched stays to the byte."""
        facts = dict(self.cleaned_data)
        size = facts.pop("quota_gb", None)
        return {**facts, "quota_bytes": int(size * GIGABYTE)} if "quota_gb" in self.changed_data else facts


class MemberForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"), widget=forms.EmailInput({"placeholder": "ada@example.com"}))
    role = forms.ChoiceField(label=_("Role"), choices=list(ROLES.items()), initial="data_scientist")


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=list(ROLES.items()))


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        help_text=_("What it is for, so that others know in half a year."),
        widget=forms.TextInput({"placeholder": _("Web shop, production")}),
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"), required=False, choices=list(SCOPES.items()), widget=forms.CheckboxSelectMultiple
    )
    endpoints = forms.CharField(
        label=_("Endpoints it may call"),
        required=False,
        help_text=_("Names with commas between them, or * for all of this project, also later ones."),
        widget=forms.TextInput({"placeholder": "digits, fraud", "spellcheck": "false", "autocapitalize": "off"}),
    )
    days = forms.IntegerField(label=_("Days until it expires"), initial=DEFAULT_DAYS, min_value=1, max_value=MAX_DAYS)
    rate_per_minute = forms.IntegerField(
        label=_("Requests a minute"),
        initial=DEFAULT_RATE,
        min_value=1,
        max_value=1_000_000,
        help_text=_("More than these are answered with 429."),
    )
    networks = forms.CharField(
        label=_("Addresses it is accepted from"),
        required=False,
        help_text=_("Ranges with commas between them; left empty, it is accepted from everywhere."),
        widget=forms.TextInput({"placeholder": "10.0.0.0/8, 203.0.113.7", "spellcheck": "false"}),
    )

    def clean_networks(self) -> list[str]:
        return [text.strip() for text in self.cleaned_data["networks"].split(",") if text.strip()]

    def clean(self) -> dict[str, Any]:
        """Put the endpoints' names among the scopes."""
        data = super().clean() or self.cleaned_data
        names = [name.strip() for name in data.get("endpoints", "").split(",") if name.strip()]
        for name in names:
            if not INVOKE.fullmatch(f"invoke:{name}"):
                self.add_error("endpoints", _("“%(name)s” is not the name of an endpoint.") % {"name": name})
        data["scopes"] = [*data.get("scopes", []), *(f"invoke:{name}" for name in names)]
        return data


class RotateForm(forms.Form):
    """For how long both keys are taken."""

    overlap_hours = forms.TypedChoiceField(
        label=_("The present key is accepted"),
        coerce=int,
        initial=OVERLAP_HOURS,
        choices=[
            (0, _("no longer")),
            (1, _("one more hour")),
            (OVERLAP_HOURS, _("one more day")),
            (7 * 24, _("seven more days")),
        ],
    )


class RevokeForm(forms.Form):
    """Asks for the key's name, so that the right one is revoked."""

    name = forms.CharField(label=_("Name of the key"), widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = expected

    def clean_name(self) -> str:
        if self.cleaned_data["name"] != self._expected:
            raise forms.ValidationError(_("This is not its name. Type “%(name)s”.") % {"name": self._expected})
        return self._expected


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("As the browser says")), *settings.LANGUAGES]
    )
    theme = forms.ChoiceField(
        label=_("Theme"), choices=[("system", _("Like the system")), ("light", _("Light")), ("dark", _("Dark"))]
    )
