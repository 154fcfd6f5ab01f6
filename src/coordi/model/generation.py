"""Names in words what would complete an outfit: the paper's last step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, no_progress
from coordi.encoders.complements import ComplementRecommender
from coordi.model.base import quiet_libraries
from coordi.model.prefix_cache import full_memory_named
from coordi.model.scoring import LanguageModelScorer
from coordi.prompts import PromptRenderer
from coordi.types import GarmentCategory, Item, Label

MOST_TOKENS = 32
"""Of a name; a longer one is cut off."""
_BATCH = 16
_RECOMMENDED = 3


class NameRequest(NamedTuple):
    """Described items, one or more, and the category of what is to complete them."""

    context: tuple[Item, ...]
    want: GarmentCategory


class Written(NamedTuple):
    """What a model named.

    Attributes:
        prompt: The prompt as text, shortened where it was too long.
        text: The first line of the model's most likely answer, such as ``"black ankle boots"``; empty if the answer is.
        recommended: Garment types that the image encoder recommends zero-shot, most probable first, whether they are in
            the prompt or not.
        query: The encoder's unit vector of the outfit, ``(D,)``, by which it would look for items.
    """

    prompt: str
    text: str
    recommended: tuple[Label, ...]
    query: NDArray[np.float32]


class ComplementWriter:
    """Names what would complete outfits, greedily, by a model with an answer head or without an adapter."""

    def __init__(
        self, scorer: LanguageModelScorer, recommender: ComplementRecommender, max_tokens: int = MOST_TOKENS
    ) -> None:
        self._scorer = scorer
        self._recommender = recommender
        self._max_tokens = max_tokens
        renderer = scorer.renderer
        self._renderer = PromptRenderer(renderer.tokenizer, renderer.max_length - max_tokens, renderer.form)

    def write(self, requests: Sequence[NameRequest], progress: Progress = no_progress) -> list[Written]:
        """What the model names for each request, in their order; the same for the same list. Errors as
        ``LanguageModelScorer.score``.
        """
        instructions = [self._scorer.instructions.complement(*request) for request in requests]
        prompts = [self._renderer.render(instruction).prompt_ids for instruction in instructions]
        names = [""] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))  # little padding
        with quiet_libraries(), full_memory_named():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                for row, name in zip(rows, self._generate([prompts[row] for row in rows]), strict=True):
                    names[row] = name
                progress(start + len(rows), len(order))
        texts = map(self._renderer.text_read, instructions)
        return [self._written(*row) for row in zip(requests, texts, names, strict=True)]

    def _written(self, request: NameRequest, prompt: str, name: str) -> Written:
        query = self._recommender.query(request.context)
        count = self._scorer.instructions.recommended or _RECOMMENDED
        return Written(prompt, name, self._recommender.labels(query, request.want, count), query[0])

    def _generate(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        import torch

        tokenizer: Any = self._renderer.tokenizer
        model = self._scorer.model
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        pad = int(tokenizer.pad_token_id)
        # Padded on the left, so that every answer begins at the same position.
        ids = torch.tensor([[pad] * count + list(prompt) for count, prompt in zip(padding, prompts, strict=True)])
        mask = (torch.arange(longest)[None, :] >= torch.tensor(padding)[:, None]).long()
        device = next(model.parameters()).device
        with torch.no_grad():
            written = model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=self._max_tokens,
                do_sample=False,
                repetition_penalty=1.0,  # a base's own is for chats: Qwen's would avoid words of the prompt
                use_cache=True,
                pad_token_id=pad,
                eos_token_id=list(self._renderer.end_ids()),
            )[:, longest:]
        texts = (str(text).strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True))
        return [text.splitlines()[0].strip() if text else "" for text in texts]
