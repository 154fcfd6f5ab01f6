"""Data: releases, catalogues and photo folders become clean items, outfits by split, and questions.

Read in this order: ``loading`` (the way in), ``polyvore_maryland``, ``polyvore_outfits``, ``hub_copies`` and
``catalogue`` (the readers), ``hub`` (what may be fetched), ``cleaning``, ``splits`` and ``item_splits`` (what is left
out, counted in the funnel), ``released`` (a release's own questions), ``questions``, ``leaks``, ``storage``.
"""
