"""Serves advice over HTTP on the user's own machine: an API, and the page at ``/``."""
