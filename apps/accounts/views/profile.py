"""What belongs to oneself: name, language, theme; and help."""

from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import services as accounts
from apps.accounts.forms import ProfileForm
from apps.accounts.middleware import LANGUAGE_KEY
from apps.accounts.selectors import projects
from apps.core.context import THEME_COOKIE, THEMES
from apps.core.forms import refusals_into
from apps.core.pages import render_page
from apps.core.web import PageRequest

YEAR_SECONDS = 365 * 24 * 3600


def profile(request: PageRequest) -> HttpResponse:
    user = request.user
    initial = {"name": user.name, "language": user.language, "theme": user.theme}
    form = ProfileForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_into(form):
            accounts.edit_profile(actor=request.actor, user=user, **form.cleaned_data)
            request.session[LANGUAGE_KEY] = form.cleaned_data["language"]
            messages.success(request, _("Saved."))
            return redirect("site:profile")
    context = {
        "form": form,
        "has_second_factor": is_mfa_enabled(user),
        "session_count": len(UserSession.objects.purge_and_list(user)),
        "projects": projects(request.actor),
    }
    return render_page(request, "accounts/profile.html", context, status=422 if form.errors else 200)


@login_not_required
@require_POST
def choose(request: PageRequest) -> HttpResponse:
    """Choose a language or a theme: kept in a cookie, and with the person when somebody is signed in."""
    response = _back(request)
    language, theme = request.POST.get("language", ""), request.POST.get("theme", "")
    chosen = {}
    if language in dict(settings.LANGUAGES):
        chosen["language"] = language
        request.session[LANGUAGE_KEY] = language
        _keep(response, settings.LANGUAGE_COOKIE_NAME, language)
    if theme in THEMES:
        chosen["theme"] = theme
        _keep(response, THEME_COOKIE, theme)
    if chosen and request.user.is_authenticated:
        accounts.edit_profile(actor=request.actor, user=request.user, **chosen)
    return response


@require_safe
def help_page(request: PageRequest) -> HttpResponse:
    return render_page(request, "accounts/help.html", {})


def _back(request: PageRequest) -> HttpResponse:
    if request.htmx:
        return HttpResponse(status=204)
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if is_ours else "/")


def _keep(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax", secure=settings.IS_SECURE, httponly=True)
