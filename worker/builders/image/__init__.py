"""Builds container images: a layer of packages that many models share, and one layer with the bundle on top.

builder       the steps of a build, in order
access        what the address of a registry says
client        the registry's HTTP API: blobs, manifests, tags
sign_in       by password, or by a token
answers       what goes wrong with a registry, in words
locked        packages with versions and hashes, parsed and written anew
runtime       the image with the packages: found in the registry, or built
dockerfile    what it is built from; Dockerfile is the fixed template
engine        the Docker engine that builds it
saved         what the engine built, brought to the registry
documents     JSON in one form only
layers        a folder as a layer, always the same bytes
assembly      packages and bundle made one image by the registry's API alone
sbom          what is in an image, as CycloneDX
provenance    who built it from what, signed (DSSE, in-toto, SLSA)
verification  what is looked at before an image is started
pruning       images that nothing needs any more
"""
