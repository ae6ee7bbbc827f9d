"""Images: their layers, documents and signatures, without any engine; tests/engines/image has the rest."""
