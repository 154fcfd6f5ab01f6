"""What a model says at the answer's position, and nowhere else: the head runs on one position, the prefix once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.errors import ModelError

if TYPE_CHECKING:
    import torch

# A shorter shared beginning isn't worth a cache of its own.
_WORTH_SHARING = 4


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """Reads the logits of a few answer tokens.

    Attributes:
        model: A causal language model, with or without an adapter.
        answers: Token ids of the answers, in the order of the columns that come out.
        batch_tokens: Tokens in a batch at most, padding included.
    """

    model: Any
    answers: tuple[int, ...]
    batch_tokens: int = 2048

    def logits(self, prompts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Logits of the answer tokens right after each prompt, shape ``(N, A)``, in the order of the prompts.

        Prompts are batched by length, and what all of them begin with is computed once. In float32 neither changes a
        logit by more than rounding. The model is put into evaluation mode for this and back afterwards.

        Raises:
            ModelError: If a logit isn't finite.
        """
        import torch

        logits: NDArray[np.float64] = np.zeros((len(prompts), len(self.answers)))
        if not prompts:
            return logits
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                shared = _shared_length(prompts)
                prefix = self._prefix(prompts[0][:shared])
                for rows in self._batches([len(prompt) - shared for prompt in prompts]):
                    logits[rows] = self._batch([prompts[row][shared:] for row in rows], prefix, shared)
        finally:
            self.model.train(was_training)
        if not np.isfinite(logits).all():
            raise ModelError("the model gave an answer that isn't a finite number; its weights are damaged")
        return logits  # (N, A)

    def _batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Rows of similar length together, at most ``batch_tokens`` in each batch."""
        batches: list[list[int]] = [[]]
        for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
            # Sorted, so this row is the longest of its batch so far.
            if batches[-1] and (len(batches[-1]) + 1) * lengths[row] > self.batch_tokens:
                batches.append([])
            batches[-1].append(row)
        return batches

    def _prefix(self, ids: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of the shared beginning, by layer; empty if nothing is shared."""
        import torch

        if not ids:
            return []
        backbone, _ = parts(self.model)
        out = backbone(input_ids=torch.tensor([list(ids)], device=self._device()), use_cache=True)
        return [(layer.keys, layer.values) for layer in out.past_key_values.layers]

    def _batch(
        self, rests: Sequence[Sequence[int]], prefix: list[tuple[torch.Tensor, torch.Tensor]], shared: int
    ) -> NDArray[np.float64]:
        import torch
        from transformers import DynamicCache

        backbone, head = parts(self.model)
        lengths = torch.tensor([len(rest) for rest in rests])
        width = int(lengths.max())
        ids = torch.zeros((len(rests), width), dtype=torch.long)
        for row, rest in enumerate(rests):
            ids[row, : len(rest)] = torch.tensor(list(rest))
        mask = (torch.arange(shared + width)[None, :] < (shared + lengths)[:, None]).long()
        cache: Any = None
        if prefix:
            cache = DynamicCache()
            for number, (keys, values) in enumerate(prefix):
                cache.update(keys.expand(len(rests), -1, -1, -1), values.expand(len(rests), -1, -1, -1), number)
        device = self._device()
        states = backbone(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=torch.arange(shared, shared + width, device=device)[None, :].expand(len(rests), -1),
            past_key_values=cache,
            use_cache=bool(prefix),
        ).last_hidden_state  # (B, T, H)
        last = states[torch.arange(len(rests)), (lengths - 1).to(states.device)]  # (B, H)
        rows = head.weight[list(self.answers)]  # (A, H)
        logits = last.float() @ rows.float().T
        if getattr(head, "bias", None) is not None:
            logits = logits + head.bias[list(self.answers)].float()
        return np.asarray(logits.cpu().double().numpy())  # (B, A)

    def _device(self) -> Any:
        return next(self.model.parameters()).device


def parts(model: Any) -> tuple[Any, Any]:
    """The layers of a causal language model up to its last hidden states, and its head, through any adapter."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model, inner.get_output_embeddings()


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; each keeps one token or more of its own."""
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    shared = min(shared, min(map(len, prompts)) - 1)
    return shared if shared >= _WORTH_SHARING and len(prompts) > 1 else 0


def probability_of_yes(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the two answers' logits, in columns (yes, no); shape ``(N, 2)`` to ``(N,)``."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(logits[:, 1] - logits[:, 0], -500, 500))))  # (N,)
