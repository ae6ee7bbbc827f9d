"""The full-text index, in whichever way the database at hand has one, filled with the models that are there."""

from django.db import migrations

from apps.library.index.searching import ENGINES, remember


def create(apps, schema_editor):
    schema_editor.execute(ENGINES[schema_editor.connection.vendor].CREATE)
    for model in apps.get_model("library", "MLModel").objects.all():
        remember(model)


def drop(apps, schema_editor):
    schema_editor.execute(ENGINES[schema_editor.connection.vendor].DROP)


class Migration(migrations.Migration):
    dependencies = [("library", "0003_claims_and_last_number")]

    operations = [migrations.RunPython(create, drop)]
