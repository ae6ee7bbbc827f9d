"""Channels: ways to tell people, with a test and with what was sent."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.selectors import get_project
from apps.core.pages import render_page
from apps.core.undo import say_done
from apps.core.web import PageRequest
from apps.monitoring import selectors, services
from apps.monitoring.forms import ChannelForm
from apps.monitoring.models import Channel

PAGE = 25


@require_safe
def channels(request: PageRequest, project: str) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    context = {"project": room, "tab": "channels", "channels": selectors.channels(request.actor, room)}
    return render(request, "monitoring/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def channel_new(request: PageRequest, project: str) -> HttpResponse:
    """A form; after it, for a webhook, the one page that shows its signing secret."""
    room = get_project(request.actor, project, "monitoring.view")
    request.actor.require("channel.edit", room)
    form = ChannelForm(request.POST or None)
    context = {"project": room, "tab": "channels", "form": form}
    if not form.is_valid():
        return render(request, "monitoring/channel_new.html", context, status=422 if form.errors else 200)
    name, kind = form.cleaned_data["name"], form.cleaned_data["kind"]
    channel, secret = services.create_channel(
        actor=request.actor, project=room, name=name, kind=kind, config=form.config
    )
    if secret:
        return _show_secret(request, channel, secret)
    messages.success(request, _("The channel “%(name)s” is made. Send it a test.") % {"name": channel.name})
    return redirect("monitoring:channel", project=room.slug, pk=channel.pk)


@require_safe
def channel(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """One channel with everything that was sent over it, still moving while something is on its way."""
    room = get_project(request.actor, project, "monitoring.view")
    found = selectors.get_channel(request.actor, room, pk)
    sent = Paginator(selectors.deliveries(request.actor, found), PAGE).get_page(request.GET.get("page"))
    context = {"project": room, "tab": "channels", "channel": found, "deliveries": sent}
    return render_page(request, "monitoring/channel.html", context, fragment="monitoring/_deliveries.html")


@require_POST
def channel_test(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    found = selectors.get_channel(request.actor, room, pk)
    services.test_channel(actor=request.actor, channel=found)
    messages.success(request, _("A test is on its way. Its outcome appears below."))
    return redirect("monitoring:channel", project=room.slug, pk=pk)


@require_POST
def channel_toggle(request: PageRequest, project: str, pk: int) -> HttpResponse:
    """Stop telling over a channel, or begin again: as ``to`` says, else the other of what it is."""
    room = get_project(request.actor, project, "monitoring.view")
    found = selectors.get_channel(request.actor, room, pk)
    is_on = {"on": True, "off": False}.get(request.POST.get("to", ""), not found.is_enabled)
    services.change_channel(actor=request.actor, channel=found, is_enabled=is_on)
    text = _("“%(name)s” is enabled again.") if is_on else _("“%(name)s” is told nothing until it is enabled again.")
    say_done(request, text % {"name": found.name}, undo=request.path, fields=[("to", "off" if is_on else "on")])
    return redirect("monitoring:channel", project=room.slug, pk=pk)


@require_POST
def channel_renew(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    found = selectors.get_channel(request.actor, room, pk)
    return _show_secret(request, found, services.renew_secret(actor=request.actor, channel=found))


@require_POST
def channel_delete(request: PageRequest, project: str, pk: int) -> HttpResponse:
    room = get_project(request.actor, project, "monitoring.view")
    found = selectors.get_channel(request.actor, room, pk)
    services.delete_channel(actor=request.actor, channel=found)
    messages.success(request, _("The channel “%(name)s” is deleted.") % {"name": found.name})
    return redirect("monitoring:channels", project=room.slug)


def _show_secret(request: PageRequest, channel: Channel, secret: str) -> HttpResponse:
    context = {"project": channel.project, "tab": "channels", "channel": channel, "secret": secret}
    response = render(request, "monitoring/channel_secret.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response
