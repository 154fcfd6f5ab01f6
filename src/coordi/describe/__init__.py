"""Photos to words: an encoder looks, a vocabulary names what it may say, and weak labels are left out."""
