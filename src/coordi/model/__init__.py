"""The language model: a base in 4 bits, a LoRA adapter fine-tuned on it, and what is read from the two."""
