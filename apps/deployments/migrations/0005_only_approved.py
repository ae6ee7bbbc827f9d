"""Nothing is deployed but an approved release's own finished build, enforced by the database too."""

from django.db import migrations

UNFIT = """
    NOT EXISTS (SELECT 1 FROM releases_release r JOIN releases_build b ON b.release_id = r.id
    WHERE r.id = NEW.release_id AND b.id = NEW.build_id AND r.state = 'approved' AND b.state = 'done'
    AND r.endpoint_id = NEW.endpoint_id AND r.target_id = NEW.target_id)"""

SQLITE = [
    f"""CREATE TRIGGER deployments_only_approved BEFORE INSERT ON deployments_deployment WHEN {UNFIT}
        BEGIN SELECT RAISE(ABORT, 'only an approved and built release can be deployed'); END""",
]
POSTGRESQL = [
    f"""CREATE FUNCTION deployments_check() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {UNFIT} THEN RAISE EXCEPTION 'only an approved and built release can be deployed'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER deployments_only_approved BEFORE INSERT ON deployments_deployment
        FOR EACH ROW EXECUTE FUNCTION deployments_check()""",
]


def install(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("deployments", "0004_unready_since"), ("releases", "0003_four_eyes")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
