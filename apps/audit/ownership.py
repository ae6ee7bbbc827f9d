"""The log in the hands of another role than the application's own, on PostgreSQL: the SQL that an administrator runs.

The application's role keeps what it needs: SELECT and INSERT on the entries, SELECT on the head, and the function that
locks the head. It owns neither tables nor triggers nor the schema that they are in, so it can take none of them away.
"""

from dataclasses import dataclass

TABLES = ("audit_entry", "audit_head")
FUNCTIONS = ("audit_refuse", "audit_in_order", "audit_lock_head", "audit_head_moves")

_ROLES = """DO $$ BEGIN
  IF (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = {app_text}) THEN
    RAISE EXCEPTION 'the role % may do anything: nothing can be kept from it', {app_text}
    USING HINT = 'Let Slipway sign in as a role without SUPERUSER and CREATEROLE.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {owner_text}) THEN CREATE ROLE {owner} NOLOGIN; END IF;
END $$;
ALTER DATABASE {database} OWNER TO {owner};
ALTER SCHEMA public OWNER TO {owner};
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {database} TO {app};
GRANT USAGE, CREATE ON SCHEMA public TO {app};
"""
_TABLE = """ALTER TABLE public.{thing} OWNER TO {owner};
REVOKE ALL ON public.{thing} FROM PUBLIC, {app};
GRANT SELECT ON public.{thing} TO {app};
"""
_FUNCTION = """ALTER FUNCTION public.{thing}() OWNER TO {owner};
"""
_RIGHTS = """GRANT INSERT ON public.audit_entry TO {app};
REVOKE ALL ON FUNCTION public.audit_lock_head() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.audit_lock_head() TO {app};
REVOKE {owner} FROM {app};
"""
_LIFT = """DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = {owner_text}) THEN GRANT {owner} TO {app}; END IF;
END $$;
"""


@dataclass(frozen=True)
class Ownership:
    """The role that the application signs in as, and the one that owns the log; nobody signs in as that."""

    database: str
    app: str
    owner: str = "slipway_audit"

    def protect(self) -> str:
        """SQL that gives the log to its owner; harmless when it is so already, and fails for an app that may do all."""
        tables = "".join(_TABLE.replace("{thing}", name) for name in TABLES)
        functions = "".join(_FUNCTION.replace("{thing}", name) for name in FUNCTIONS)
        return self._fill(_ROLES + tables + functions + _RIGHTS)

    def lift(self) -> str:
        """SQL that makes the application a member of the owner, for as long as an upgrade changes tables."""
        return self._fill(_LIFT)

    def _fill(self, template: str) -> str:
        return template.format(
            database=_identifier(self.database),
            app=_identifier(self.app),
            owner=_identifier(self.owner),
            app_text=_text(self.app),
            owner_text=_text(self.owner),
        )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
