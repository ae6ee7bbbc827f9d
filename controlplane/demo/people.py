"""The demonstration's cast: made through the set-up link and invitations, as real people would be."""

import secrets
from dataclasses import dataclass

from apps.accounts import services as accounts
from apps.accounts.actors import actor_for_user
from apps.accounts.models import Project, User
from apps.core.actors import Actor

PROJECT = "demo"
ROLES = {"dana": "data_scientist", "rhea": "reviewer", "omar": "operator"}
NAMES = {"ada": "Ada Lindqvist", "dana": "Dana Whitfield", "rhea": "Rhea Okafor", "omar": "Omar Haddad"}


@dataclass(frozen=True)
class Person:
    email: str
    password: str
    role: str


@dataclass(frozen=True)
class Cast:
    """The people with their new passwords, and the project that they share."""

    people: dict[str, Person]
    project: Project

    def actor(self, name: str) -> Actor:
        """The person with the permissions of this moment."""
        return actor_for_user(User.objects.get(email=self.people[name].email))


def gather() -> Cast:
    """Make the first administrator, the project and the three others; only where nobody exists yet."""
    link = accounts.create_setup_link()
    if link is None:
        raise SystemExit("There are people in this data folder already. Use an empty one for the demonstration.")
    people = {"ada": Person("ada@example.com", secrets.token_urlsafe(12), "administrator")}
    ada = accounts.set_up(
        token=token_of(link), email=people["ada"].email, name=NAMES["ada"], password=people["ada"].password
    )
    project = accounts.create_project(
        actor=actor_for_user(ada), slug=PROJECT, name="Demo", description="Real models, real data, invented people"
    )
    for name, role in ROLES.items():
        people[name] = Person(f"{name}@example.com", secrets.token_urlsafe(12), role)
        _invitation, link = accounts.invite(
            actor=actor_for_user(ada), project=project, email=people[name].email, role=role
        )
        accounts.accept_invitation(token=token_of(link), name=NAMES[name], password=people[name].password)
    return Cast(people, project)


def token_of(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]
