"""Turns an approved version into something that can be started, always the same from the same spec.

base          the promises every builder keeps, and its settings
registry      which builder a kind of target needs
environment   for this machine: a locked virtual environment and an immutable bundle
image         for Docker: an image of packages and bundle, signed, in a registry
locking       exact versions and hashes for a set of requirements
venvs         the environment of one lock, built once
bundles       the folder with runtime, model and manifest, named by its digest
replaying     the golden sample, asked of what was packed
packages      what pins pull in, with versions and licences
fake          keeps its world in memory and can be told to fail

A new builder is one module here, one line in the registry, its kind in the targets, its tests, and this line.
"""
