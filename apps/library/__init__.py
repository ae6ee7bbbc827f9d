"""The model library: models, versions, content-addressed artifacts, resumable uploads, and checks as evidence."""
