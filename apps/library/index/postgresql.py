"""The index in PostgreSQL: one tsvector a model under a GIN index, built of our words and not by its parser."""

from collections.abc import Iterator, Sequence

from django.db import connection

from apps.library.index.words import Asked, Document

CREATE = """
    CREATE TABLE library_index (model_id bigint PRIMARY KEY, words tsvector NOT NULL);
    CREATE INDEX library_index_words ON library_index USING gin (words)
"""
DROP = "DROP TABLE library_index"
MAX_POSITION = 16_000  # beyond 16,383 they are all the same
GAP = 20  # no phrase reaches from one column into the next
_WRITE = """
    INSERT INTO library_index (model_id, words) VALUES (%s, %s::tsvector)
    ON CONFLICT (model_id) DO UPDATE SET words = EXCLUDED.words
"""
_FIND = """
    SELECT model.id, model.name, ts_rank('{0.1, 0.2, 0.6, 1.0}', words, query, 1) AS score
    FROM library_index JOIN library_mlmodel AS model ON model.id = model_id, CAST(%s AS tsquery) AS query
    WHERE words @@ query AND model.project_id = %s ORDER BY score DESC LIMIT %s
"""


def write(model: int, document: Document) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [model, " ".join(_lexemes(document))])


def find(project: int, asked: Sequence[Asked], limit: int) -> list[tuple[int, str, float]]:
    """Number, name and score of the models that hold everything asked for, the best first."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [" & ".join(map(_expression, asked)), project, limit])
        return cursor.fetchall()


def _lexemes(document: Document) -> Iterator[str]:
    position = 1
    for words, weight in zip((*document[:3], document.parts, document.card), ("A", "B", "C", "B", "D"), strict=True):
        for word in words:
            yield f"'{word}':{min(position, MAX_POSITION)}{weight}"
            position += 1
        position += GAP
    yield f"'@{document.owner}':{MAX_POSITION}B"


def _expression(asked: Asked) -> str:
    """Words hold letters and figures only, so that nothing in them could end the quotes."""
    *first, last = asked.words
    phrase = " <-> ".join([*(f"'{word}'" for word in first), f"'{last}'" + (":*" if asked.is_beginning else "")])
    return "(" + " | ".join([phrase, *(f"'@{owner}'" for owner in asked.owners)]) + ")"
