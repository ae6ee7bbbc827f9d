"""The index in SQLite: one FTS5 table whose rows carry the numbers of the models."""

from collections.abc import Sequence

from django.db import connection

from apps.library.index.words import Asked, Document

CREATE = (
    "CREATE VIRTUAL TABLE library_index USING fts5("
    "name, tags, about, card, parts, owner, tokenize='unicode61 remove_diacritics 0', prefix='2 3')"
)
DROP = "DROP TABLE library_index"
_WRITE = "INSERT OR REPLACE INTO library_index (rowid, name, tags, about, card, parts, owner) VALUES (%s{})".format(
    ", %s" * 6
)
_FIND = """
    SELECT model.id, model.name, -bm25(library_index, 10.0, 6.0, 2.0, 1.0, 4.0, 6.0) AS score
    FROM library_index JOIN library_mlmodel AS model ON model.id = library_index.rowid
    WHERE library_index MATCH %s AND model.project_id = %s ORDER BY score DESC LIMIT %s
"""


def write(model: int, document: Document) -> None:
    columns = [" ".join(words) for words in document[:-1]]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [model, *columns, str(document.owner)])


def find(project: int, asked: Sequence[Asked], limit: int) -> list[tuple[int, str, float]]:
    """Number, name and score of the models that hold everything asked for, the best first."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [" AND ".join(map(_expression, asked)), project, limit])
        return cursor.fetchall()


def _expression(asked: Asked) -> str:
    """Words hold letters and figures only, so that nothing in them could end the quotes."""
    phrase = f'{{name tags about card parts}} : "{" ".join(asked.words)}"' + (" *" if asked.is_beginning else "")
    return "(" + " OR ".join([phrase, *(f'owner : "{owner}"' for owner in asked.owners)]) + ")"
