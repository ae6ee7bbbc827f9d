"""Set a real web server's stage: tables, the cast, and a key of Dana's in each of two projects, printed as JSON.

Run as a program, in the environment that the server will have.
"""

import json
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

SMALL_QUOTA = 1000


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    print(json.dumps(raise_curtain()))


def raise_curtain() -> dict[str, str]:
    # Models can be imported once Django is set up, and not before.
    from apps.accounts.models import ApiKey, Membership, Project
    from apps.core.keys import CI, digest, mint
    from tests.cast import gather

    cast = gather()
    small = Project.objects.create(slug="small", name="Small", quota_bytes=SMALL_QUOTA)
    Membership.objects.create(project=small, user=cast.user("dana"), role="data_scientist")
    keys = {}
    for project in (cast.project, small):
        made = mint(CI)
        keys[project.slug] = made.text
        ApiKey.objects.create(
            key_id=made.key_id,
            prefix=CI,
            last4=made.text[-4:],
            digest=digest(settings.SLIPWAY_PEPPERS[0], made.secret),
            name="pipeline",
            project=project,
            scopes=["upload"],
            created_by=cast.user("dana"),
            expires_at=timezone.now() + timedelta(days=1),
        )
    return keys


if __name__ == "__main__":
    main()
