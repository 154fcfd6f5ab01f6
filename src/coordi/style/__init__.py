"""What is known of clothes in general: a lexicon of the kinds of garment that people wear."""
