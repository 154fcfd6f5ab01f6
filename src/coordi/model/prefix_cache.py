"""Forward passes that compute a shared prefix of prompts once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.errors import ModelError

if TYPE_CHECKING:
    import torch


# A shorter shared beginning isn't worth a cache of its own.
_WORTH_SHARING = 4
# What a family's own pass costs, in tokens; it must save more.
_COST = 24
# Rows of a family at most; a larger pool is several families.
_LARGEST = 128


@dataclass(frozen=True, slots=True)
class PrefixGroup:
    """Prompts that begin alike.

    Attributes:
        shared: How many tokens they begin with; each has one token or more of its own after them.
        rows: Their positions among all prompts.
    """

    shared: int
    rows: tuple[int, ...]


def shared_prefix_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; each keeps one token or more of its own.

    0 for a lone prompt, and where so few are shared that it isn't worth it.
    """
    if len(prompts) < 2:
        return 0
    shared = common_prefix_length(min(map(tuple, prompts)), max(map(tuple, prompts)))
    shared = min(shared, min(map(len, prompts)) - 1)
    return shared if shared >= _WORTH_SHARING else 0


def prefix_groups(prompts: Sequence[Sequence[int]], shared: int) -> tuple[list[PrefixGroup], list[int]]:
    """Group prompts by what they begin with beyond the first ``shared`` tokens, so that the most tokens are saved.

    Neighbours in the order of their tokens share most, so a family is a run of that order. The best runs are found by
    going through the places where the last one may begin.

    Args:
        prompts: All begin with the same ``shared`` tokens.
        shared: May be 0.

    Returns:
        The families, and the rows that are in none, both in the order of the tokens.
    """
    order = sorted(range(len(prompts)), key=lambda row: tuple(prompts[row]))
    best = [0] * (len(order) + 1)  # tokens saved among the first rows of the order
    last: list[tuple[int, int]] = [(0, 0)] * (len(order) + 1)  # where the last run of them begins, and what it shares
    for end in range(1, len(order) + 1):
        best[end], last[end] = best[end - 1], (end - 1, shared)
        newest = prompts[order[end - 1]]
        common = len(newest) - 1
        for begin in range(end - 2, max(end - _LARGEST, 0) - 1, -1):
            other = prompts[order[begin]]
            common = min(common, common_prefix_length(other, prompts[order[begin + 1]]), len(other) - 1)
            if common <= shared:
                break
            saved = best[begin] + (end - begin - 1) * (common - shared) - _COST
            if saved > best[end]:
                best[end], last[end] = saved, (begin, common)
    found: list[PrefixGroup] = []
    alone: list[int] = []
    end = len(order)
    while end:
        begin, common = last[end]
        if end - begin > 1:
            found.append(PrefixGroup(common, tuple(order[begin:end])))
        else:
            alone.append(order[begin])
        end = begin
    return found[::-1], alone[::-1]


def common_prefix_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length


# Of the layers, from below: middle layers know more of an outfit than the last one. Logistic regression on the mean
# state of SmolLM2's layer 20 of 30 tells same-category negatives with AUC 0.70 on Maryland outfits, on the last
# token's last state with 0.59.
_DEPTH = 2 / 3


def middle_layer(layers: int) -> int:
    """The layer, from 1, whose leaving states are read where settings name none."""
    return max(1, round(_DEPTH * layers))


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Hidden states that are averaged.

    Attributes:
        layer: From 1 for what leaves the first layer.
        skip: Tokens at the beginning of each prompt that don't count, such as the question's.
    """

    layer: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """What a model has read: beginnings of prompts, right-padded to one width.

    Attributes:
        layers: Keys and values by layer, each ``(F, heads, T, D)`` for ``F`` beginnings.
        lengths: Tokens of each beginning, shape ``(F,)``.
        mask: Which of the ``T`` places hold a token, shape ``(F, T)``.
        sums: Sum of the hidden states that are averaged, shape ``(F, H)``; None if there are none.
        counts: How many were summed, shape ``(F,)``.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    lengths: torch.Tensor
    mask: torch.Tensor
    sums: torch.Tensor | None
    counts: torch.Tensor

    @classmethod
    def nothing(cls) -> PrefixCache:
        """The beginning of everything: one of no tokens."""
        import torch

        zero = torch.zeros(1, dtype=torch.long)
        return cls((), zero, torch.zeros((1, 0), dtype=torch.long), None, zero)


@dataclass(frozen=True, slots=True)
class ForwardOutput:
    """What came of a pass.

    Attributes:
        last: Last hidden state of each row's last token, after the final norm, shape ``(B, H)``.
        layers: Keys and values of everything read so far, by layer; empty unless they were to be kept.
        lengths: Tokens of each row, all that was read before included, shape ``(B,)``.
        mask: Which places hold a token, shape ``(B, T)``.
        sums: Sum of the hidden states at the layer that was asked for, shape ``(B, H)``; None without a layer.
        counts: How many were summed, shape ``(B,)``.
    """

    last: torch.Tensor
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    lengths: torch.Tensor
    mask: torch.Tensor
    sums: torch.Tensor | None
    counts: torch.Tensor

    def known(self) -> PrefixCache:
        """What later passes go on from."""
        return PrefixCache(self.layers, self.lengths, self.mask, self.sums, self.counts)

    def mean_states(self) -> NDArray[np.float32]:
        """Mean hidden state of each row, shape ``(B, H)``."""
        if self.sums is None:
            raise ValueError("no layer was asked for in this pass")
        return np.asarray((self.sums / self.counts[:, None]).cpu().numpy(), dtype=np.float32)


def forward_with_cache(
    backbone: Any,
    known: PrefixCache,
    owners: Sequence[int],
    rests: Sequence[Sequence[int]],
    *,
    heard: PoolSpec | None = None,
    keep: bool = False,
) -> ForwardOutput:
    """Read on.

    Args:
        backbone: A decoder's layers, in evaluation mode.
        known: What was read before.
        owners: The beginning that each row goes on from, as its number in ``known``.
        rests: Tokens of each row, one or more.
        heard: Which hidden states are summed; None for none.
        keep: Keep keys and values.
    """
    import torch

    device = next(backbone.parameters()).device
    whose = torch.tensor(list(owners))
    lengths = torch.tensor([len(rest) for rest in rests])
    ids, own = _padded(rests)
    before = known.lengths[whose]
    mask = torch.cat([known.mask[whose], own], dim=1)
    positions = before[:, None] + torch.arange(ids.shape[1])[None, :]
    sums: list[torch.Tensor] = []
    listened = None if heard is None else (own * (positions >= heard.skip)).to(device)
    with capture_layer(backbone, heard, listened, sums):
        out = backbone(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=_cache(known, whose.to(device), keep=keep),
            use_cache=keep or bool(known.layers),
        )
    last = out.last_hidden_state[torch.arange(len(rests)), (lengths - 1).to(device)]
    layers = tuple((one.keys, one.values) for one in out.past_key_values.layers) if keep else ()
    if listened is None:
        return ForwardOutput(last, layers, before + lengths, mask, None, torch.zeros_like(lengths))
    total, counts = sums[0].cpu(), listened.sum(dim=1).cpu()
    if known.sums is not None:
        total, counts = total + known.sums[whose], counts + known.counts[whose]
    return ForwardOutput(last, layers, before + lengths, mask, total, counts)


def _padded(rests: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and a mask, both ``(B, T)``, padded on the right."""
    import torch

    width = max(map(len, rests))
    ids = torch.zeros((len(rests), width), dtype=torch.long)
    mask = torch.zeros((len(rests), width), dtype=torch.long)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(list(rest))
        mask[row, : len(rest)] = 1
    return ids, mask


def _cache(known: PrefixCache, whose: torch.Tensor, *, keep: bool) -> Any:
    from transformers import DynamicCache

    if not known.layers and not keep:
        return None
    cache = DynamicCache()
    for number, (keys, values) in enumerate(known.layers):
        if len(known.lengths) == 1:
            rows = len(whose)
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        else:
            cache.update(keys.index_select(0, whose), values.index_select(0, whose), number)
    return cache


@contextmanager
def capture_layer(
    backbone: Any, heard: PoolSpec | None, mask: torch.Tensor | None, sums: list[torch.Tensor]
) -> Iterator[None]:
    """Sum the hidden states that leave a layer, over the tokens of the mask.

    Args:
        backbone: A decoder's layers.
        heard: Which layer; None listens to none.
        mask: Which tokens count, ``(B, T)``.
        sums: Each pass adds its sum ``(B, H)``.
    """
    if heard is None or mask is None:
        yield
        return

    def note(module: Any, inputs: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output  # (B, T, H)
        sums.append((states.float() * mask[:, :, None]).sum(dim=1))

    hook = backbone.layers[heard.layer - 1].register_forward_hook(note)
    try:
        yield
    finally:
        hook.remove()


TESTED_MODEL_TYPES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "mistral")
"""Kinds of models that tests read, teach and score in every way there is, as config.json names them."""
# Of the largest logit: bfloat16 keeps 8 bits, and a sum may be taken in another order.
_SAME = 0.02


@dataclass(frozen=True, slots=True)
class ModelOutputs:
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
class PromptRunner:
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

    def read(
        self, prompts: Sequence[Sequence[int]], heard: PoolSpec | None = None, *, answer: bool = True
    ) -> ModelOutputs:
        """As ``logits``, and the mean hidden states that leave a layer.

        Args:
            prompts: Token ids, one token or more each.
            heard: Whose hidden states are averaged, over which tokens; None reads no states.
            answer: Without the answer, later layers aren't run.

        Raises:
            ModelError: If there is no such layer, a prompt has no token to average over, or a number isn't finite.
        """
        import torch

        backbone, _ = backbone_and_head(self.model)
        if heard is not None and not hasattr(backbone, "layers"):
            raise ModelError(
                f"the layers of a model of the kind '{backbone.config.model_type}' can't be listened to; choose a "
                f"base of one of the kinds {', '.join(TESTED_MODEL_TYPES)}"
            )
        if heard is not None and not 1 <= heard.layer <= len(backbone.layers):
            raise ModelError(f"the model has layers 1 to {len(backbone.layers)}, got {heard.layer}")
        if heard is not None and min(map(len, prompts), default=heard.skip + 1) <= heard.skip:
            raise ModelError(f"a prompt of {min(map(len, prompts))} tokens has none after the first {heard.skip}")
        size = int(backbone.config.hidden_size) if heard is not None else 0
        read = ModelOutputs(
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

    def _read_all(self, prompts: Sequence[Sequence[int]], heard: PoolSpec | None, read: ModelOutputs) -> None:
        if not prompts:
            return
        backbone, _ = backbone_and_head(self.model)
        # Beginnings are kept padded to one width, and a window counts places, padding among them: what would come near
        # its edge is read on its own.
        window = attention_window(backbone.config)
        whole = window is not None and 2 * max(map(len, prompts)) > window
        shared = 0 if whole else shared_prefix_length(prompts)
        start = PrefixCache.nothing()
        if shared:
            start = forward_with_cache(backbone, start, [0], [prompts[0][:shared]], heard=heard, keep=True).known()
        kin, alone = ([], list(range(len(prompts)))) if whole else prefix_groups(prompts, shared)
        for rows in _batches([len(prompts[row]) - shared for row in alone], self.batch_tokens):
            mine = [alone[place] for place in rows]
            step = forward_with_cache(
                backbone, start, [0] * len(mine), [prompts[row][shared:] for row in mine], heard=heard
            )
            self._note(step, mine, read)
        for group in self._together(kin, prompts):
            begun = [prompts[family.rows[0]][shared : family.shared] for family in group]
            known = forward_with_cache(backbone, start, [0] * len(group), begun, heard=heard, keep=True).known()
            owners = [(number, row) for number, family in enumerate(group) for row in family.rows]
            lengths = [len(prompts[row]) - group[number].shared for number, row in owners]
            for places in _batches(lengths, self.batch_tokens):
                mine = [owners[place][1] for place in places]
                whose = [owners[place][0] for place in places]
                rests = [prompts[row][group[number].shared :] for number, row in zip(whose, mine, strict=True)]
                self._note(forward_with_cache(backbone, known, whose, rests, heard=heard), mine, read)

    def _together(self, kin: Sequence[PrefixGroup], prompts: Sequence[Sequence[int]]) -> Iterator[list[PrefixGroup]]:
        """Families of about the same beginning, as many as a batch holds."""
        for places in _batches([family.shared for family in kin], self.batch_tokens):
            yield [kin[place] for place in places]

    def _note(self, step: ForwardOutput, rows: Sequence[int], read: ModelOutputs) -> None:
        if read.logits.shape[1]:
            read.logits[list(rows)] = self._answers(step.last)
        if read.states.shape[1]:
            read.states[list(rows)] = step.mean_states()

    def _answers(self, last: Any) -> NDArray[np.float64]:
        _, head = backbone_and_head(self.model)
        weights = head.weight[list(self.answers)]  # (A, H)
        logits = last.float() @ weights.float().T
        if getattr(head, "bias", None) is not None:
            logits = logits + head.bias[list(self.answers)].float()
        return np.asarray(apply_logit_scaling(self.model, logits).cpu().double().numpy())  # (B, A)


def backbone_and_head(model: Any) -> tuple[Any, Any]:
    """The layers of a causal language model up to its last hidden states, and its head, through any adapter."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model, inner.get_output_embeddings()


def apply_logit_scaling(model: Any, logits: Any) -> Any:
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


def check_logits(model: Any, name: str) -> None:
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
    if kind in TESTED_MODEL_TYPES:
        return
    backbone, head = backbone_and_head(model)
    ids = torch.arange(1, 5, device=next(model.parameters()).device)[None, :]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            told = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            states = backbone(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
            read = apply_logit_scaling(model, head(states)[0].float())
    finally:
        model.train(was_training)
    if (told - read).abs().max() > _SAME * max(1.0, float(told.abs().max())):
        raise ModelError(
            f"'{name}' is of the kind '{kind}', which makes its logits in a way that coordi doesn't know; choose a "
            f"base of one of the kinds {', '.join(TESTED_MODEL_TYPES)}"
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
