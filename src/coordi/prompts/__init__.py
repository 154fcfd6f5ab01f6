"""The only place that turns items and descriptions into text for a language model."""
