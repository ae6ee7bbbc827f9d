"""The head row, and triggers that keep the log append-only even against our own code.

SQLite's ``INSERT OR REPLACE`` deletes without firing delete triggers unless ``recursive_triggers`` is on; the insert
trigger closes that door by itself: a sequence number must be the next one.
"""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entry_in_order BEFORE INSERT ON audit_entry
       WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_entry)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
]

POSTGRESQL = [
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE FUNCTION audit_in_order() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_entry) THEN
           RAISE EXCEPTION 'the audit log is append-only';
         END IF;
         RETURN NEW;
       END $$""",
    """CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_entry_in_order BEFORE INSERT ON audit_entry
       FOR EACH ROW EXECUTE FUNCTION audit_in_order()""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
]


def install(apps, schema_editor):
    apps.get_model("audit", "Head").objects.create(pk=1)
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
