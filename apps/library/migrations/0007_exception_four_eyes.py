"""Four eyes on exceptions, enforced by the database too: whatever code is in between, these rows cannot come to be.

No review by who uploaded the version or asked, none of another subject, none once it is decided; nobody is noted as an
administrator who is none; what was asked for never changes; none is granted without two approvals, one of them by an
administrator; a review is never rewritten. And no version of tier 2 becomes ready, no pickle is served and no refused
version is examined again without an exception that is granted for exactly its files.
"""

from django.db import migrations

BAD_REVIEW = """
    SELECT 1 FROM library_safetyexception e JOIN library_modelversion v ON v.id = e.version_id
    JOIN library_mlmodel l ON l.id = v.model_id
    WHERE e.id = NEW.exception_id AND (
        e.asked_by_id = NEW.reviewer_id OR v.uploaded_by_id = NEW.reviewer_id
        OR e.subject <> NEW.subject OR e.state <> 'asked'
        OR (NEW.is_administrator AND NOT EXISTS (
            SELECT 1 FROM accounts_user u LEFT JOIN accounts_membership m
            ON m.user_id = u.id AND m.project_id = l.project_id
            WHERE u.id = NEW.reviewer_id AND (u.is_superuser OR m.role = 'administrator'))))"""
APPROVALS = """
    (SELECT COUNT(*) FROM library_exceptionreview w WHERE w.exception_id = NEW.id AND w.decision = 'approve'
     AND w.subject = NEW.subject{more})"""
TOO_FEW = f"{APPROVALS.format(more='')} < 2 OR {APPROVALS.format(more=' AND w.is_administrator')} < 1"
TERMS = ("version_id", "digest", "subject", "asked_by_id", "reason")
CHANGED = " OR ".join(f"NEW.{column} <> OLD.{column}" for column in TERMS)
NAMES_CHANGED = {"sqlite": "NEW.names <> OLD.names", "postgresql": "NEW.names::text <> OLD.names::text"}
OTHER_FILES = "SELECT 1 FROM library_modelversion v WHERE v.id = NEW.version_id AND v.digest <> NEW.digest"
UNGRANTED = """NOT EXISTS (SELECT 1 FROM library_safetyexception e
    WHERE e.version_id = NEW.id AND e.digest = NEW.digest AND e.state = 'granted')"""
BAD_VERSION = f"""
    (NEW.state = 'ready' AND OLD.state <> 'ready' AND (NEW.tier = 2 OR NEW.served_format = 'pickle') AND {UNGRANTED})
    OR (NEW.served_format = 'pickle' AND COALESCE(NEW.tier, 0) <> 2)
    OR (OLD.state = 'refused' AND NEW.state = 'uploaded' AND {UNGRANTED})"""

REVIEWED = "an exception is reviewed by somebody else, as it was asked for"
STAYS = "a review is never rewritten"
STARTS = "an exception starts by being asked for, for the files that are there"
TERMS_STAY = "the terms of an exception never change"
LACKS = "this exception lacks approvals"
NO_EXCEPTION = "no exception is granted for these files"

SQLITE = [
    f"""CREATE TRIGGER library_exception_review BEFORE INSERT ON library_exceptionreview WHEN EXISTS ({BAD_REVIEW})
        BEGIN SELECT RAISE(ABORT, '{REVIEWED}'); END""",
    f"""CREATE TRIGGER library_exception_review_stays BEFORE UPDATE ON library_exceptionreview
        BEGIN SELECT RAISE(ABORT, '{STAYS}'); END""",
    f"""CREATE TRIGGER library_exception_starts BEFORE INSERT ON library_safetyexception
        WHEN NEW.state <> 'asked' OR EXISTS ({OTHER_FILES}) BEGIN SELECT RAISE(ABORT, '{STARTS}'); END""",
    f"""CREATE TRIGGER library_exception_terms BEFORE UPDATE ON library_safetyexception
        WHEN {CHANGED} OR {NAMES_CHANGED["sqlite"]} BEGIN SELECT RAISE(ABORT, '{TERMS_STAY}'); END""",
    f"""CREATE TRIGGER library_exception_granted BEFORE UPDATE OF state ON library_safetyexception
        WHEN NEW.state = 'granted' AND (OLD.state <> 'asked' OR {TOO_FEW})
        BEGIN SELECT RAISE(ABORT, '{LACKS}'); END""",
    f"""CREATE TRIGGER library_version_exception BEFORE UPDATE ON library_modelversion WHEN {BAD_VERSION}
        BEGIN SELECT RAISE(ABORT, '{NO_EXCEPTION}'); END""",
]

POSTGRESQL = [
    f"""CREATE FUNCTION library_check_exception_review() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'UPDATE' THEN RAISE EXCEPTION '{STAYS}'; END IF;
        IF EXISTS ({BAD_REVIEW}) THEN RAISE EXCEPTION '{REVIEWED}'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER library_exception_review BEFORE INSERT OR UPDATE ON library_exceptionreview
        FOR EACH ROW EXECUTE FUNCTION library_check_exception_review()""",
    f"""CREATE FUNCTION library_check_exception() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
          IF NEW.state <> 'asked' OR EXISTS ({OTHER_FILES}) THEN RAISE EXCEPTION '{STARTS}'; END IF;
          RETURN NEW;
        END IF;
        IF {CHANGED} OR {NAMES_CHANGED["postgresql"]} THEN RAISE EXCEPTION '{TERMS_STAY}'; END IF;
        IF NEW.state = 'granted' AND OLD.state <> 'granted' AND (OLD.state <> 'asked' OR {TOO_FEW}) THEN
          RAISE EXCEPTION '{LACKS}'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER library_exception_terms BEFORE INSERT OR UPDATE ON library_safetyexception
        FOR EACH ROW EXECUTE FUNCTION library_check_exception()""",
    f"""CREATE FUNCTION library_check_version_exception() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {BAD_VERSION} THEN RAISE EXCEPTION '{NO_EXCEPTION}'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER library_version_exception BEFORE UPDATE ON library_modelversion
        FOR EACH ROW EXECUTE FUNCTION library_check_version_exception()""",
]


def install(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("library", "0006_safety_exceptions"), ("accounts", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
