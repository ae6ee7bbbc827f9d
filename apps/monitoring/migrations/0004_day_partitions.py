"""On PostgreSQL: fine windows and samples in tables by the day, so that forgetting a day is dropping a table.

The tables keep their names, columns, indexes and rows. The keys gain the columns that the parts are told apart by,
which PostgreSQL asks for; the numbers are still unique, since one sequence gives them. Django has no partitioned
models, and needs none: it reads and writes the parents. ``apps/monitoring/partitions.py`` makes and drops the parts.
"""

from django.db import migrations

PARTS = {
    "monitoring_window": (
        "PARTITION BY LIST (seconds)",
        "id, seconds, start",
        [
            "CREATE TABLE monitoring_window_coarse PARTITION OF monitoring_window DEFAULT",
            "CREATE TABLE monitoring_window_fine PARTITION OF monitoring_window FOR VALUES IN (10) "
            "PARTITION BY RANGE (start)",
            "CREATE TABLE monitoring_window_fine_rest PARTITION OF monitoring_window_fine DEFAULT",
        ],
    ),
    "monitoring_sample": (
        "PARTITION BY RANGE (at)",
        "id, at",
        ["CREATE TABLE monitoring_sample_rest PARTITION OF monitoring_sample DEFAULT"],
    ),
}
INDEXES = "SELECT indexdef FROM pg_indexes WHERE tablename = %s AND schemaname = current_schema() AND indexname <> %s"
FOREIGN_KEYS = """SELECT format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname,
    pg_get_constraintdef(oid)) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"""


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # every row is copied once
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, (method, key, parts) in PARTS.items():
            replace(cursor, table, method, key, parts)


def replace(cursor, table, method, key, parts):
    """The same table, in parts. Everything that Django made of it is read from the database and made again."""
    cursor.execute(INDEXES, [table, f"{table}_pkey"])
    made_again = [definition for (definition,) in cursor.fetchall()]
    cursor.execute(FOREIGN_KEYS, [table])
    made_again += [statement for (statement,) in cursor.fetchall()]
    old, sequence = f"{table}_whole", f"{table}_number"
    cursor.execute(f"ALTER TABLE {table} RENAME TO {old}")
    cursor.execute(f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) {method}")
    for statement in parts:
        cursor.execute(statement)
    cursor.execute(f"INSERT INTO {table} SELECT * FROM {old}")
    cursor.execute(f"DROP TABLE {old}")
    cursor.execute(f"CREATE SEQUENCE {sequence} OWNED BY {table}.id")
    cursor.execute(f"SELECT setval('{sequence}', COALESCE(MAX(id), 0) + 1, false) FROM {table}")
    cursor.execute(f"ALTER TABLE {table} ALTER id SET DEFAULT nextval('{sequence}')")
    cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
    for statement in made_again:
        cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0003_calm_and_tries")]
    operations = [migrations.RunPython(partition, migrations.RunPython.noop)]
