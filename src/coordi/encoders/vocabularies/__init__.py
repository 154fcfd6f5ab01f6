"""Vocabularies that come with coordi."""
