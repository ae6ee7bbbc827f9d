"""Writing accounts: projects, members, invitations, keys and profiles. Call them as ``accounts.create_project(…)``."""

from apps.accounts.services.invitations import (
    accept_invitation,
    create_setup_link,
    invite,
    join,
    set_up,
    withdraw_invitation,
)
from apps.accounts.services.keys import Issued, disable_unused_keys, issue_key, note_keys_used, revoke_key, rotate_key
from apps.accounts.services.members import Added, add_member, change_role, remove_member
from apps.accounts.services.profile import edit_profile
from apps.accounts.services.projects import create_project, edit_project

__all__ = [
    "Added",
    "Issued",
    "accept_invitation",
    "add_member",
    "change_role",
    "create_project",
    "create_setup_link",
    "disable_unused_keys",
    "edit_profile",
    "edit_project",
    "invite",
    "issue_key",
    "join",
    "note_keys_used",
    "remove_member",
    "revoke_key",
    "rotate_key",
    "set_up",
    "withdraw_invitation",
]
