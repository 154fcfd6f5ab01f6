"""Data: releases, catalogues and photo folders become clean items, outfits by split, and questions."""
