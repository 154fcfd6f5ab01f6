"""Presets that come with coordi, as YAML files."""
