"""Addresses of accounts. Those under ``accounts/`` stand before django-allauth's own, of which they are children."""

from django.urls import URLPattern, path

from apps.accounts import api as calls
from apps.accounts.views import entrance, keys, members, profile, projects, security

# Of no project: the way in, the profile, the list of projects
site: list[URLPattern] = [
    path("", projects.home, name="home"),
    path("setup/<str:token>/", entrance.setup, name="setup"),
    path("invitations/<str:token>/", entrance.invitation, name="invitation"),
    path("projects/", projects.projects, name="projects"),
    path("projects/new/", projects.project_new, name="project_new"),
    path("projects/switcher/", projects.switcher, name="switcher"),
    path("projects/<slug:slug>/", projects.enter, name="enter"),
    path("profile/", profile.profile, name="profile"),
    path("profile/choose/", profile.choose, name="choose"),
    path("help/", profile.help_page, name="help"),
    path("accounts/sessions/", security.Sessions.as_view(), name="sessions"),
    path("accounts/2fa/totp/activate/", security.AddSecondFactor.as_view()),
    path("accounts/2fa/totp/deactivate/", security.RemoveSecondFactor.as_view()),
    path("accounts/2fa/recovery-codes/generate/", security.RenewRecoveryCodes.as_view()),
]

# Under /p/<project>/
pages: list[URLPattern] = [
    path("members/", members.members, name="members"),
    path("members/<int:pk>/role/", members.member_role, name="member_role"),
    path("members/<int:pk>/remove/", members.member_remove, name="member_remove"),
    path("invitations/<int:pk>/withdraw/", members.invitation_withdraw, name="invitation_withdraw"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.key_new, name="key_new"),
    path("keys/<str:key_id>/rotate/", keys.key_rotate, name="key_rotate"),
    path("keys/<str:key_id>/revoke/", keys.key_revoke, name="key_revoke"),
    path("settings/", projects.project_edit, name="project_edit"),
    path("search/", projects.search, name="search"),
]

# Under /api/v1/
api: list[URLPattern] = [
    path("projects/", calls.Projects.as_view(), name="projects"),
    path("projects/<slug:project>/", calls.OneProject.as_view(), name="project"),
    path("projects/<slug:project>/members/", calls.Members.as_view(), name="members"),
    path("keys/", calls.Keys.as_view(), name="keys"),
    path("keys/<str:key_id>/", calls.OneKey.as_view(), name="key"),
    path("keys/<str:key_id>/rotate/", calls.Rotation.as_view(), name="key_rotate"),
]
