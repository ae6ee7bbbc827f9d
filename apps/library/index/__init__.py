"""Full-text search over names, tags, owners and cards: one small seam before FTS5 of SQLite and tsvector of PostgreSQL.

``words`` cuts texts into words, the same for both; each database has a module with the table it needs and how it is
written and asked. A word is found by its beginning, in names and tags from any letter on. Characters of Chinese and
Japanese are words each, and what is typed without a blank must stand together, so that two of them are found, too:
a trigram index needs three, and PostgreSQL's a right to install extensions.
"""

from apps.library.index.searching import Found, find, remember

__all__ = ["Found", "find", "remember"]
