"""The log's filters."""

from django import forms
from django.utils.translation import gettext_lazy as _


class FilterForm(forms.Form):
    """All optional; for a thing of its own, ``thing`` and ``object_id`` come by a link from its page."""

    text = forms.CharField(required=False, max_length=200)
    actor = forms.CharField(required=False, max_length=200)
    action = forms.CharField(required=False, max_length=60)
    thing = forms.CharField(required=False, max_length=40)
    object_id = forms.CharField(required=False, max_length=64)
    since = forms.DateField(required=False, error_messages={"invalid": _("Write the day as 2026-01-31.")})
    until = forms.DateField(required=False, error_messages={"invalid": _("Write the day as 2026-01-31.")})
    before = forms.IntegerField(required=False, min_value=1)
    scope = forms.ChoiceField(required=False, choices=[("", ""), ("all", "all")])
