"""A release of a model that runs by an exception needs two approvals at least, whatever its environment asks for."""

from django.db import migrations

TOO_FEW = """NEW.approvals_required < 2 AND EXISTS (
    SELECT 1 FROM library_modelversion v WHERE v.id = NEW.version_id AND v.tier = 2)"""
WORDS = "a release of a model of tier 2 needs two approvals"

SQLITE = [
    f"""CREATE TRIGGER releases_release_tier_2 BEFORE INSERT ON releases_release WHEN {TOO_FEW}
        BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"""
]
POSTGRESQL = [
    f"""CREATE FUNCTION releases_check_tier() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {TOO_FEW} THEN RAISE EXCEPTION '{WORDS}'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER releases_release_tier_2 BEFORE INSERT ON releases_release
        FOR EACH ROW EXECUTE FUNCTION releases_check_tier()""",
]


def install(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("releases", "0003_four_eyes"), ("library", "0007_exception_four_eyes")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
