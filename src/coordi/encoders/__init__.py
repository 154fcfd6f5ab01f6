"""Image encoders and what they see: labels, descriptions, embeddings and their cache."""
