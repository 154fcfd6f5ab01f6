"""Measures outfit scorers on the same questions and writes the report."""
