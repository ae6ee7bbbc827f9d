"""Who may do what: the one table, read by pages, the API, tasks and tests alike.

A role holds all permissions in whose row it is marked. V viewer, D data scientist, R reviewer, O operator,
A administrator. The administrators of the installation (``User.is_superuser``) hold everything everywhere; what is not
of any project (``SITE``) is theirs alone, apart from seeing targets.
"""

from django.utils.translation import gettext_lazy as _

ROLES = {
    "viewer": _("Viewer"),
    "data_scientist": _("Data scientist"),
    "reviewer": _("Reviewer"),
    "operator": _("Operator"),
    "administrator": _("Administrator"),
}

DESCRIPTIONS = {
    "viewer": _("Sees everything in the project and changes nothing."),
    "data_scientist": _("Uploads models and proposes releases."),
    "reviewer": _("Approves or rejects releases of others, and reads the audit log."),
    "operator": _("Runs endpoints, scales, rolls back, and answers alerts."),
    "administrator": _("Does all of this, and manages members, keys and environments."),
}

TABLE = """
    project.view          V D R O A
    project.edit          . . . . A
    member.manage         . . . . A
    key.manage            . . . . A
    model.view            V D R O A
    model.edit            . D . . A
    version.upload        . D . . A
    version.retire        . D . . A
    version.delete        . D . . A
    exception.ask         . D . . A
    exception.review      . . R . A
    exception.grant       . . . . A
    release.view          V D R O A
    release.propose       . D . O A
    release.review        . . R . A
    release.comment       . D R O A
    release.withdraw      . D . O A
    endpoint.view         V D R O A
    endpoint.create       . D . O A
    endpoint.edit         . . . O A
    endpoint.invoke       . D R O A
    deployment.start      . . . O A
    deployment.stop       . . . O A
    deployment.scale      . . . O A
    deployment.rollback   . . . O A
    deployment.logs       . D R O A
    environment.edit      . . . . A
    monitoring.view       V D R O A
    rule.edit             . . . O A
    channel.edit          . . . O A
    alert.acknowledge     . . . O A
    audit.view            . . R O A
    audit.export          . . . . A
"""

_LETTERS = {"V": "viewer", "D": "data_scientist", "R": "reviewer", "O": "operator", "A": "administrator"}
_ROWS = [line.split() for line in TABLE.strip().splitlines()]

PERMISSIONS = frozenset(row[0] for row in _ROWS)
BY_ROLE = {role: frozenset(row[0] for row in _ROWS if letter in row[1:]) for letter, role in _LETTERS.items()}
SITE = frozenset({"project.create", "project.set_quota", "target.edit", "audit.view_all"})

# What a key may do in its project, by scope; ``invoke:<endpoint>`` is the gateway's alone.
BY_SCOPE = {
    "read": BY_ROLE["viewer"],
    "upload": frozenset({"version.upload", "model.edit", "model.view", "project.view"}),
    "propose": frozenset({"release.propose", "release.withdraw", "release.view", "project.view"}),
    "deploy": frozenset(
        {"deployment.start", "deployment.stop", "deployment.scale", "deployment.rollback", "endpoint.view"}
        | {"project.view", "release.view"}
    ),
}
