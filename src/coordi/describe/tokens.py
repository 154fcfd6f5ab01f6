"""How a checkpoint wants its texts: cleaned, cut into tokens, and padded, with the tokenizers library alone."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from coordi.config import Settings

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = re.compile(r"\s+")


class TextRecipe(Settings):
    """From texts to what a text tower takes, ``(B, T)`` int64.

    Attributes:
        clean: What is done before the tokenizer. ``none``; ``lowercase`` (SigLIP 2); ``siglip``: lower case, without
            ASCII punctuation and repeated spaces; ``open_clip``: its ``canonicalize``, the same after mending broken
            encodings and HTML, with a space for each underscore.
        length: The most tokens that a text may have, the special ones included; more are cut off.
        padding: ``longest`` pads to the longest text of a batch (CLIP, where what follows the end doesn't matter);
            ``full`` to ``length`` (SigLIP, which was trained so and reads the last place).
        side: Where padding goes.
        pad_id: The token that fills.
    """

    clean: Literal["none", "lowercase", "siglip", "open_clip"] = "none"
    length: int = Field(ge=2)
    padding: Literal["longest", "full"]
    side: Literal["right", "left"] = "right"
    pad_id: int = Field(ge=0)

    def cleaned(self, text: str) -> str:
        """The text that the tokenizer gets.

        References:
            ``canonicalize_text`` of big_vision, as SiglipTokenizer of transformers and open_clip have it.
        """
        if self.clean == "none":
            return text
        if self.clean == "lowercase":
            return text.lower()
        if self.clean == "open_clip":
            import ftfy

            text = html.unescape(html.unescape(ftfy.fix_text(text))).strip().replace("_", " ")
        return _SPACES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).strip()


class Tokens:
    """A tokenizer that follows a recipe."""

    def __init__(self, tokenizer: Any, recipe: TextRecipe) -> None:
        self.tokenizer = tokenizer
        self.recipe = recipe
        tokenizer.enable_truncation(recipe.length)
        tokenizer.enable_padding(
            direction=recipe.side, pad_id=recipe.pad_id, length=recipe.length if recipe.padding == "full" else None
        )

    def of(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids ``(B, T)`` of at least one text."""
        rows = self.tokenizer.encode_batch([self.recipe.cleaned(text) for text in texts])
        return np.array([row.ids for row in rows], dtype=np.int64)

    def json(self) -> str:
        """The tokenizer as the text of a ``tokenizer.json``."""
        return str(self.tokenizer.to_str())
