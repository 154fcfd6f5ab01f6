"""Data: releases, catalogues and photo folders become clean items, outfits by split, and questions.

Read in this order: ``loading`` (the way in), ``polyvore_maryland`` and ``catalogue`` (the readers), ``cleaning`` and
``splits`` (what is left out, counted in the funnel), ``questions``, ``leaks``, ``storage``.
"""
