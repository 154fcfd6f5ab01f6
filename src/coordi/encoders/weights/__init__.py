"""The edge encoder's files, made by ``training/`` and checked against ``manifest.json``."""
