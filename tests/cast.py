"""The cast of every story: Dana uploads, Rhea reviews, Omar operates, Ada administers, Vic watches; Sam: a stranger."""

from dataclasses import dataclass

from apps.accounts.actors import actor_for_user
from apps.accounts.models import Membership, Project, User
from apps.core.actors import Actor

ROLES = {
    "vic": "viewer",
    "dana": "data_scientist",
    "rhea": "reviewer",
    "omar": "operator",
    "ada": "administrator",
}
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Cast:
    """People and their two projects: everybody but Sam is in ``project``; Sam is a data scientist of ``elsewhere``."""

    project: Project
    elsewhere: Project
    users: dict[str, User]

    def user(self, name: str) -> User:
        return self.users[name]

    def actor(self, name: str) -> Actor:
        """The person as an actor, with the grants of this moment."""
        return actor_for_user(self.users[name], request_id=f"test-{name}")


def gather() -> Cast:
    """Put the whole cast into the database. Passwords are ``PASSWORD``; hashing is skipped until somebody signs in."""
    project = Project.objects.create(slug="digits-team", name="Digits team")
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    users = {name: User.objects.create(email=f"{name}@example.com", name=name.title()) for name in (*ROLES, "sam")}
    for name, role in ROLES.items():
        Membership.objects.create(project=project, user=users[name], role=role)
    Membership.objects.create(project=elsewhere, user=users["sam"], role="administrator")
    return Cast(project, elsewhere, users)
