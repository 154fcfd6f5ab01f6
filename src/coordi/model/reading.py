"""What a model says at the answer's position, and nowhere else: the head runs on one position, the prefix once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.errors import ModelError
from coordi.model.passes import Heard, Known, Pass, extend
from coordi.model.sharing import Family, families, shared_length

KNOWN_KINDS = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "mistral")
"""Kinds of models that tests read, teach and score in every way there is, as config.json names them."""
# Of the largest logit: bfloat16 keeps 8 bits, and a sum may be taken in another order.
_SAME = 0.02


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read of some prompts.

    Attributes:
        logits: Of the answer tokens right after each prompt, shape ``(N, A)``; of no columns if the last layers weren't
            run.
        states: Mean hidden state of each prompt's tokens at one layer, shape ``(N, H)``; of no columns if no layer was
            asked for.
    """

    logits: NDArray[np.float64]
    states: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """Reads the logits of a few answer tokens, and hidden states.

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

        Prompts are batched by length; what all of them begin with is computed once, and so is what several begin with
        beyond that. In float32 none of it changes a logit by more than rounding. The model is put into evaluation mode
        for this and back afterwards.

        Raises:
            ModelError: If a logit isn't finite.
        """
        return self.read(prompts).logits

    def read(self, prompts: Sequence[Sequence[int]], heard: Heard | None = None, *, answer: bool = True) -> Readings:
        """As ``logits``, and the mean hidden states that leave a layer.

        Args:
            prompts: Token ids, one token or more each.
            heard: Whose hidden states are averaged, over which tokens; None reads no states.
            answer: Without the answer, later layers aren't run.

        Raises:
            ModelError: If there is no such layer, a prompt has no token to average over, or a number isn't finite.
        """
        import torch

        backbone, _ = parts(self.model)
        if heard is not None and not hasattr(backbone, "layers"):
            raise ModelError(
                f"the layers of a model of the kind '{backbone.config.model_type}' can't be listened to; choose a "
                f"base of one of the kinds {', '.join(KNOWN_KINDS)}"
            )
        if heard is not None and not 1 <= heard.layer <= len(backbone.layers):
            raise ModelError(f"the model has layers 1 to {len(backbone.layers)}, got {heard.layer}")
        if heard is not None and min(map(len, prompts), default=heard.skip + 1) <= heard.skip:
            raise ModelError(f"a prompt of {min(map(len, prompts))} tokens has none after the first {heard.skip}")
        size = int(backbone.config.hidden_size) if heard is not None else 0
        read = Readings(
            np.zeros((len(prompts), len(self.answers) if answer else 0)), np.zeros((len(prompts), size), np.float32)
        )
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), _only(backbone, None if answer or heard is None else heard.layer):
                self._read_all(prompts, heard, read)
        finally:
            self.model.train(was_training)
        if not (np.isfinite(read.logits).all() and np.isfinite(read.states).all()):
            raise ModelError("the model gave an answer that isn't a finite number; its weights are damaged")
        return read

    def _read_all(self, prompts: Sequence[Sequence[int]], heard: Heard | None, read: Readings) -> None:
        if not prompts:
            return
        backbone, _ = parts(self.model)
        # Beginnings are kept padded to one width, and a window counts places, padding among them: what would come near
        # its edge is read on its own.
        window = attention_window(backbone.config)
        whole = window is not None and 2 * max(map(len, prompts)) > window
        shared = 0 if whole else shared_length(prompts)
        start = Known.nothing()
        if shared:
            start = extend(backbone, start, [0], [prompts[0][:shared]], heard=heard, keep=True).known()
        kin, alone = ([], list(range(len(prompts)))) if whole else families(prompts, shared)
        for rows in _batches([len(prompts[row]) - shared for row in alone], self.batch_tokens):
            mine = [alone[place] for place in rows]
            step = extend(backbone, start, [0] * len(mine), [prompts[row][shared:] for row in mine], heard=heard)
            self._note(step, mine, read)
        for group in self._together(kin, prompts):
            begun = [prompts[family.rows[0]][shared : family.shared] for family in group]
            known = extend(backbone, start, [0] * len(group), begun, heard=heard, keep=True).known()
            owners = [(number, row) for number, family in enumerate(group) for row in family.rows]
            lengths = [len(prompts[row]) - group[number].shared for number, row in owners]
            for places in _batches(lengths, self.batch_tokens):
                mine = [owners[place][1] for place in places]
                whose = [owners[place][0] for place in places]
                rests = [prompts[row][group[number].shared :] for number, row in zip(whose, mine, strict=True)]
                self._note(extend(backbone, known, whose, rests, heard=heard), mine, read)

    def _together(self, kin: Sequence[Family], prompts: Sequence[Sequence[int]]) -> Iterator[list[Family]]:
        """Families of about the same beginning, as many as a batch holds."""
        for places in _batches([family.shared for family in kin], self.batch_tokens):
            yield [kin[place] for place in places]

    def _note(self, step: Pass, rows: Sequence[int], read: Readings) -> None:
        if read.logits.shape[1]:
            read.logits[list(rows)] = self._answers(step.last)
        if read.states.shape[1]:
            read.states[list(rows)] = step.mean_states()

    def _answers(self, last: Any) -> NDArray[np.float64]:
        _, head = parts(self.model)
        weights = head.weight[list(self.answers)]  # (A, H)
        logits = last.float() @ weights.float().T
        if getattr(head, "bias", None) is not None:
            logits = logits + head.bias[list(self.answers)].float()
        return np.asarray(as_told(self.model, logits).cpu().double().numpy())  # (B, A)


def parts(model: Any) -> tuple[Any, Any]:
    """The layers of a causal language model up to its last hidden states, and its head, through any adapter."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model, inner.get_output_embeddings()


def as_told(model: Any, logits: Any) -> Any:
    """The head's product as the model itself would give it: some squeeze or scale it before it becomes a logit.

    Args:
        model: A causal language model, with or without an adapter.
        logits: States times the head's weights, of any shape.

    References:
        Gemma Team, Gemma 2: Improving Open Language Models at a Practical Size, 2024 (soft-capping).
    """
    config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config.get_text_config()
    logits = logits * float(getattr(config, "logit_scale", None) or 1.0)  # Cohere
    logits = logits / float(getattr(config, "logits_scaling", None) or 1.0)  # Granite
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2
    return logits if cap is None else cap * (logits / cap).tanh()


def attention_window(config: Any) -> int | None:
    """How many places back a model's layers look, where some look no further; None if all see everything."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    window = getattr(config, "sliding_window", None)
    return None if window is None or getattr(config, "use_sliding_window", True) is False else int(window)


def check_reading(model: Any, name: str) -> None:
    """Refuse a model whose logits aren't its last states times its head, as they are read here.

    Kinds that are known to be read right aren't asked again.

    Args:
        model: A causal language model, with or without an adapter.
        name: Of the base, for the message.

    Raises:
        ModelError: If it is one: its own forward pass says something else.
    """
    import torch

    kind = str(model.config.model_type)
    if kind in KNOWN_KINDS:
        return
    backbone, head = parts(model)
    ids = torch.arange(1, 5, device=next(model.parameters()).device)[None, :]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            told = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            states = backbone(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
            read = as_told(model, head(states)[0].float())
    finally:
        model.train(was_training)
    if (told - read).abs().max() > _SAME * max(1.0, float(told.abs().max())):
        raise ModelError(
            f"'{name}' is of the kind '{kind}', which makes its logits in a way that coordi doesn't know; choose a "
            f"base of one of the kinds {', '.join(KNOWN_KINDS)}"
        )


@contextmanager
def _only(backbone: Any, layers: int | None) -> Iterator[None]:
    """Run the first layers alone; all if None."""
    if layers is None:
        yield
        return
    every = backbone.layers
    backbone.layers = every[:layers]
    try:
        yield
    finally:
        backbone.layers = every


def _batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Places of similar length together, at most ``most`` tokens in each batch; none if there are none."""
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        # Sorted, so this one is the longest of its batch so far.
        if not batches or (len(batches[-1]) + 1) * lengths[place] > most:
            batches.append([])
        batches[-1].append(place)
    return batches


def probability_of_yes(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the two answers' logits, in columns (yes, no); shape ``(N, 2)`` to ``(N,)``."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(logits[:, 1] - logits[:, 0], -500, 500))))  # (N,)
