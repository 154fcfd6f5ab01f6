"""All stages of a run, in one output folder."""
