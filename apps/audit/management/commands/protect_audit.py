from argparse import ArgumentParser
from contextlib import closing
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import connection

from apps.audit.ownership import Ownership


class Command(BaseCommand):
    help = (
        "On PostgreSQL: give the audit log to a role of its own, so that the application's role can append and read "
        "and nothing else. Signs in with SLIPWAY_DATABASE_ADMIN_URL, a superuser's address of the same database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sql", action="store_true", help="print the SQL instead, for psql as a superuser")
        parser.add_argument("--lift", action="store_true", help="let the application's role change the log's tables")

    def handle(self, *args: Any, sql: bool, lift: bool, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL has roles. With SQLite, keep the checkpoints somewhere else.")
        database = connection.settings_dict
        ownership = Ownership(database["NAME"], database["USER"])
        statements = ownership.lift() if lift else ownership.protect()
        if sql:
            self.stdout.write(statements)
        else:
            run(statements)
            done = "may change the log's tables until the next protect_audit" if lift else "can append and read only"
            self.stdout.write(f"The role {ownership.app} {done}.")


def run(statements: str) -> None:
    """Run all of it in one transaction, or CommandError."""
    if not settings.SLIPWAY_DATABASE_ADMIN_URL:
        raise CommandError("SLIPWAY_DATABASE_ADMIN_URL is not set. Set it, or pipe the output of --sql into psql.")
    try:
        with closing(psycopg2.connect(settings.SLIPWAY_DATABASE_ADMIN_URL)) as admin, admin, admin.cursor() as cursor:
            cursor.execute(statements)
    except psycopg2.Error as error:
        raise CommandError(f"Nothing was changed: {str(error).strip()}") from error
