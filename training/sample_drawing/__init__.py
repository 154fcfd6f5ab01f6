"""The program that drew coordi's bundled sample: garments, style rules, outfits and photos, from one seed."""
