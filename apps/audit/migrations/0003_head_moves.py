"""The head moves with each entry, by the database's own hand: whoever appends needs no right to write the head.

On PostgreSQL the functions act with the rights of their owner, so that the application's role can be left with INSERT
and SELECT on the entries and SELECT on the head (``manage.py protect_audit``). Where one role owns everything, the head
still moves in no other way.
"""

from django.db import migrations

REFUSED = "the audit log is append-only"

SQLITE = [
    """CREATE TRIGGER audit_entry_moves_head AFTER INSERT ON audit_entry
       BEGIN UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash WHERE id = 1; END""",
    f"""CREATE TRIGGER audit_head_moves BEFORE UPDATE ON audit_head
       WHEN NOT EXISTS (SELECT 1 FROM audit_entry WHERE seq = NEW.seq AND hash = NEW.hash)
       OR NEW.seq <> (SELECT MAX(seq) FROM audit_entry)
       BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END""",
]

# Functions that act for their owner name everything with its schema: nobody else's table or operator gets in between.
POSTGRESQL = [
    """CREATE FUNCTION audit_lock_head() RETURNS {schema}.audit_head
       LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
       $$ SELECT * FROM {schema}.audit_head WHERE id = 1 FOR UPDATE $$""",
    f"""CREATE OR REPLACE FUNCTION audit_in_order() RETURNS trigger
       LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
       $$ BEGIN
         UPDATE {{schema}}.audit_head SET seq = NEW.seq, hash = NEW.hash
         WHERE id = 1 AND seq = NEW.seq - 1 AND hash = NEW.previous;
         IF NOT FOUND THEN RAISE EXCEPTION '{REFUSED}'; END IF;
         RETURN NEW;
       END $$""",
    f"""CREATE FUNCTION audit_head_moves() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF pg_trigger_depth() < 2 THEN RAISE EXCEPTION '{REFUSED}'; END IF;
         RETURN NEW;
       END $$""",
    """CREATE TRIGGER audit_head_moves BEFORE UPDATE ON audit_head
       FOR EACH ROW EXECUTE FUNCTION audit_head_moves()""",
]


def install(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        statements = SQLITE
    else:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema())")
            [schema] = cursor.fetchone()
        statements = [statement.replace("{schema}", schema) for statement in POSTGRESQL]
    for statement in statements:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
