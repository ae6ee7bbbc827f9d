"""Propose, review, approve, reject, pack: a Release binds exact bytes to an endpoint; a Build makes what will run."""
