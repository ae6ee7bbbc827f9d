"""The way in: set-up of a fresh installation, and invitations."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from apps.accounts import services as accounts
from apps.accounts.forms import AcceptForm, SetupForm
from apps.accounts.models import User
from apps.accounts.services.invitations import find_invitation, find_setup
from apps.core.forms import refusals_into
from apps.core.web import PageRequest

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@never_cache
@login_not_required
def setup(request: PageRequest, token: str) -> HttpResponse:
    """Make the first administrator; the link is used up by it."""
    find_setup(token)
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            user = accounts.set_up(token=token, **form.cleaned_data)
            return _enter(request, user)
    return render(request, "accounts/setup.html", {"form": form}, status=422 if form.errors else 200)


@never_cache
@login_not_required
def invitation(request: PageRequest, token: str) -> HttpResponse:
    """Join a project: with the account that is signed in, or a new one."""
    found = find_invitation(token)
    if request.user.is_authenticated:
        return _join(request, token)
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            return _enter(request, accounts.accept_invitation(token=token, **form.cleaned_data))
    has_account = User.objects.filter(email__iexact=found.email).exists()
    context = {"form": form, "invitation": found, "has_account": has_account}
    return render(request, "accounts/invitation.html", context, status=422 if form.errors else 200)


def _join(request: PageRequest, token: str) -> HttpResponse:
    if request.method == "POST":
        membership = accounts.join(actor=request.actor, token=token)
        return redirect("site:enter", membership.project.slug)
    return render(request, "accounts/invitation.html", {"invitation": find_invitation(token)})


def _enter(request: PageRequest, user: User) -> HttpResponse:
    login(request, user, backend=BACKEND)
    return redirect("site:home")
