"""Garments drawn from curves: outlines become shaded templates, templates become photos in a colour and a pattern."""
