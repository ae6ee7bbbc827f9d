"""The project's keys: made in one form, shown once, revoked by name."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts import services as accounts
from apps.accounts.forms import KeyForm, RevokeForm, RotateForm
from apps.accounts.selectors import get_key, get_project
from apps.accounts.selectors import keys as keys_of
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.web import PageRequest


@require_safe
def keys(request: PageRequest, project: str) -> HttpResponse:
    found = get_project(request.actor, project, "key.manage")
    rows = keys_of(request.actor, found)
    return render_page(request, "accounts/keys.html", {"project": found, "keys": rows})


@never_cache
def key_new(request: PageRequest, project: str) -> HttpResponse:
    """Make a key and show it, this one time."""
    found = get_project(request.actor, project, "key.manage")
    endpoint = request.GET.get("endpoint", "")  # a page that needs a key for one says so
    initial = {"endpoints": endpoint} if endpoint else {"scopes": ["read"]}
    form = KeyForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            names = ("name", "scopes", "days", "rate_per_minute", "networks")
            asked = {name: form.cleaned_data[name] for name in names}
            issued = accounts.issue_key(actor=request.actor, project=found, **asked)
            return render_page(request, "accounts/key_made.html", {"project": found, "issued": issued})
    context = {"project": found, "form": form}
    return render_page(request, "accounts/key_new.html", context, status=422 if form.errors else 200)


@never_cache
def key_rotate(request: PageRequest, project: str, key_id: str) -> HttpResponse:
    """Make a new key in the place of this one, and show it, this one time."""
    found = get_project(request.actor, project, "key.manage")
    key = get_key(request.actor, found, key_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            issued = accounts.rotate_key(actor=request.actor, key=key, **form.cleaned_data)
            return render_page(request, "accounts/key_made.html", {"project": found, "issued": issued, "earlier": key})
    context = {"project": found, "key": key, "form": form}
    return render_page(request, "accounts/key_rotate.html", context, status=422 if form.errors else 200)


def key_revoke(request: PageRequest, project: str, key_id: str) -> HttpResponse:
    found = get_project(request.actor, project, "key.manage")
    key = get_key(request.actor, found, key_id)
    form = RevokeForm(request.POST or None, expected=key.name)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            accounts.revoke_key(actor=request.actor, key=key)
            messages.success(request, _("The key “%(name)s” is revoked.") % {"name": key.name})
            return redirect("accounts:keys", project)
    context = {"project": found, "key": key, "form": form}
    return render_page(request, "accounts/key_revoke.html", context, status=422 if form.errors else 200)
