"""Four eyes, enforced by the database too: whatever code is in between, these rows cannot come to be.

No review by the author of the version or of the proposal, none of another subject, none on a closed release; a
release's terms never change; none is approved without the approvals it needs; a review is never rewritten.
"""

from django.db import migrations

BAD_REVIEW = """
    SELECT 1 FROM releases_release r JOIN library_modelversion v ON v.id = r.version_id
    WHERE r.id = NEW.release_id AND (
        r.proposed_by_id = NEW.reviewer_id OR v.uploaded_by_id = NEW.reviewer_id
        OR r.subject <> NEW.subject OR r.state <> 'in_review')"""
TOO_FEW = """
    (SELECT COUNT(*) FROM releases_review w WHERE w.release_id = NEW.id AND w.decision = 'approve'
     AND w.subject = NEW.subject) < NEW.approvals_required"""
TERMS = ("subject", "version_id", "endpoint_id", "target_id", "proposed_by_id", "approvals_required", "project_id")
CHANGED = " OR ".join(f"NEW.{column} <> OLD.{column}" for column in TERMS)

SQLITE = [
    f"""CREATE TRIGGER releases_review_four_eyes BEFORE INSERT ON releases_review WHEN EXISTS ({BAD_REVIEW})
        BEGIN SELECT RAISE(ABORT, 'a release is reviewed by somebody else, as it stands'); END""",
    """CREATE TRIGGER releases_review_stays BEFORE UPDATE ON releases_review
        BEGIN SELECT RAISE(ABORT, 'a review is never rewritten'); END""",
    f"""CREATE TRIGGER releases_release_terms BEFORE UPDATE ON releases_release WHEN {CHANGED}
        BEGIN SELECT RAISE(ABORT, 'the terms of a release never change'); END""",
    f"""CREATE TRIGGER releases_release_approved BEFORE UPDATE OF state ON releases_release
        WHEN NEW.state = 'approved' AND OLD.state <> 'approved' AND {TOO_FEW}
        BEGIN SELECT RAISE(ABORT, 'this release lacks approvals'); END""",
    """CREATE TRIGGER releases_release_starts_in_review BEFORE INSERT ON releases_release WHEN NEW.state <> 'in_review'
        BEGIN SELECT RAISE(ABORT, 'a release starts in review'); END""",
]

POSTGRESQL = [
    f"""CREATE FUNCTION releases_check_review() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'UPDATE' THEN RAISE EXCEPTION 'a review is never rewritten'; END IF;
        IF EXISTS ({BAD_REVIEW}) THEN
          RAISE EXCEPTION 'a release is reviewed by somebody else, as it stands'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER releases_review_four_eyes BEFORE INSERT OR UPDATE ON releases_review
        FOR EACH ROW EXECUTE FUNCTION releases_check_review()""",
    f"""CREATE FUNCTION releases_check_release() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
          IF NEW.state <> 'in_review' THEN RAISE EXCEPTION 'a release starts in review'; END IF;
          RETURN NEW;
        END IF;
        IF {CHANGED} THEN RAISE EXCEPTION 'the terms of a release never change'; END IF;
        IF NEW.state = 'approved' AND OLD.state <> 'approved' AND {TOO_FEW} THEN
          RAISE EXCEPTION 'this release lacks approvals'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER releases_release_terms BEFORE INSERT OR UPDATE ON releases_release
        FOR EACH ROW EXECUTE FUNCTION releases_check_release()""",
]


def install(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("releases", "0002_initial"), ("library", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
