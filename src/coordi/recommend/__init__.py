"""Finds what completes an outfit among the items of a catalogue."""
