"""Projects and their members."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts import services as accounts
from apps.accounts.actors import actor_for_user
from apps.accounts.models import Membership, Project, User
from apps.accounts.roles import BY_ROLE, DESCRIPTIONS, PERMISSIONS, ROLES
from apps.audit.models import Entry
from apps.core.errors import Invalid, NotAllowed, StateConflict
from tests.cast import Cast


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create(email="root@example.com", name="Root", is_superuser=True)


def membership(cast: Cast, name: str) -> Membership:
    return Membership.objects.get(project=cast.project, user=cast.user(name))


def test_installation_administrator_creates_a_project_and_administers_it(root: User) -> None:
    project = accounts.create_project(actor=actor_for_user(root), slug="fraud", name="Fraud")
    assert Membership.objects.get(project=project, user=root).role == "administrator"
    entry = Entry.objects.get()
    assert (entry.action, entry.project_id) == ("project.created", project.pk)


def test_nobody_else_creates_projects(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        accounts.create_project(actor=cast.actor("ada"), slug="mine", name="Mine")


@pytest.mark.parametrize(
    "slug", ["", "-a", "a-", "Upper", "a b", "a_b", "metrics", "api", "x" * 41, "digits-team", "ü"]
)
def test_project_addresses_are_plain_free_and_not_reserved(cast: Cast, root: User, slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.create_project(actor=actor_for_user(root), slug=slug, name="X")
    assert "slug" in refused.value.errors


def test_existing_person_is_added_at_once(cast: Cast) -> None:
    added = accounts.add_member(actor=cast.actor("ada"), project=cast.project, email="SAM@example.com", role="viewer")
    assert added.membership == membership(cast, "sam")
    assert not added.link
    assert Entry.objects.get().action == "member.added"


@pytest.mark.parametrize("name", ["vic", "dana", "rhea", "omar", "sam"])
def test_only_administrators_manage_members(cast: Cast, name: str) -> None:
    with pytest.raises(NotAllowed):
        accounts.add_member(actor=cast.actor(name), project=cast.project, email="x@example.com", role="viewer")
    with pytest.raises(NotAllowed):
        accounts.change_role(actor=cast.actor(name), membership=membership(cast, "dana"), role="administrator")
    with pytest.raises(NotAllowed):
        accounts.remove_member(actor=cast.actor(name), membership=membership(cast, "ada"))
    assert not Entry.objects.exists()


def test_member_is_not_added_twice(cast: Cast) -> None:
    with pytest.raises(StateConflict):
        accounts.add_member(actor=cast.actor("ada"), project=cast.project, email="dana@example.com", role="viewer")


def test_last_administrator_stays(cast: Cast) -> None:
    ada = cast.actor("ada")
    with pytest.raises(StateConflict):
        accounts.change_role(actor=ada, membership=membership(cast, "ada"), role="viewer")
    with pytest.raises(StateConflict):
        accounts.remove_member(actor=ada, membership=membership(cast, "ada"))
    accounts.change_role(actor=ada, membership=membership(cast, "rhea"), role="administrator")
    accounts.remove_member(actor=ada, membership=membership(cast, "ada"))
    assert not Membership.objects.filter(project=cast.project, user=cast.user("ada")).exists()


def test_changed_role_counts_at_once_and_is_recorded(cast: Cast) -> None:
    accounts.change_role(actor=cast.actor("ada"), membership=membership(cast, "vic"), role="operator")
    assert cast.actor("vic").may("deployment.start", cast.project)
    entry = Entry.objects.get()
    assert '"role": "viewer"' in entry.before
    assert '"role": "operator"' in entry.after


def test_everybody_may_leave(cast: Cast) -> None:
    accounts.remove_member(actor=cast.actor("vic"), membership=membership(cast, "vic"))
    assert Entry.objects.get().action == "member.removed"


def test_unknown_role_is_refused(cast: Cast) -> None:
    with pytest.raises(Invalid):
        accounts.change_role(actor=cast.actor("ada"), membership=membership(cast, "vic"), role="god")


def test_roles_table_is_complete() -> None:
    assert set(BY_ROLE) == set(ROLES) == set(DESCRIPTIONS)
    assert BY_ROLE["administrator"] == PERMISSIONS
    assert BY_ROLE["viewer"] < BY_ROLE["operator"]


def test_members_page_lists_people_and_hides_what_a_role_cannot_do(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("vic"))
    page = client.get("/p/digits-team/members/").content.decode()
    assert "Dana" in page
    assert "Add member" not in page
    client.force_login(cast.user("ada"))
    assert "Add member" in client.get("/p/digits-team/members/").content.decode()


def test_members_page_shows_an_invitation_link_once(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("ada"))
    shown = client.post("/p/digits-team/members/", {"email": "new@example.com", "role": "viewer"})
    link = shown.context["link"]
    assert link in shown.content.decode()
    assert link not in client.get("/p/digits-team/members/").content.decode()


def test_another_projects_people_do_not_exist(cast: Cast, client: Client) -> None:
    client.force_login(cast.user("sam"))
    assert client.get("/p/digits-team/members/").status_code == 404
    own = Membership.objects.get(project=cast.project, user=cast.user("vic"))
    assert client.post(f"/p/elsewhere/members/{own.pk}/remove/").status_code == 404
    assert client.post(f"/p/elsewhere/members/{own.pk}/role/", {"role": "viewer"}).status_code == 404


def test_members_page_asks_the_database_little(
    cast: Cast, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        user = User.objects.create(email=f"p{number}@example.com", name=f"Person {number}")
        Membership.objects.create(project=cast.project, user=user, role="viewer")
    client.force_login(cast.user("ada"))
    client.get("/p/digits-team/members/")
    with django_assert_max_num_queries(8):
        client.get("/p/digits-team/members/")


def test_start_leads_to_the_project_worked_in_last(cast: Cast, client: Client) -> None:
    Membership.objects.create(project=cast.elsewhere, user=cast.user("dana"), role="viewer")
    client.force_login(cast.user("dana"))
    client.get("/p/elsewhere/members/")
    assert client.get("/").headers["Location"].startswith("/p/elsewhere/")


def test_person_without_a_project_is_told_what_to_do(cast: Cast, client: Client) -> None:
    client.force_login(User.objects.create(email="lone@example.com", name="Lone"))
    assert b"Ask an administrator" in client.get("/", follow=True).content


def test_project_is_renamed_but_keeps_its_address(cast: Cast) -> None:
    accounts.edit_project(actor=cast.actor("ada"), project=cast.project, name="New name", description="")
    assert Project.objects.get(slug="digits-team").name == "New name"
    assert Entry.objects.get().action == "project.edited"
