"""Logits and hidden states of prompts; what several prompts begin with is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.errors import ModelError, require

if TYPE_CHECKING:
    import torch

TESTED_MODEL_TYPES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "mistral")
"""Model types, as in config.json, that tests train and score in every way."""
BATCH_TOKENS = 1024  # twice as many take 12% longer and 0.35 GB more on two cores
GPU_BATCH_TOKENS = 2048  # by model.memory: 2 GB for an 8B model, mostly what prompts share, copied; not measured
_MIN_SHARED = 4  # tokens that all prompts begin with; fewer aren't worth a cache
_MIN_GROUP_PREFIX = 24  # tokens that a group shares beyond that; its own forward pass costs about as much
_MAX_GROUP = 128  # prompts in a group
# Middle layers know more of an outfit than the last one: logistic regression on the mean state of SmolLM2's layer 20 of
# 30 has AUC 0.70 on same-category negatives of Maryland outfits, on the last state of the last token 0.59.
_MIDDLE = 2 / 3
_TOLERANCE = 0.02  # of the largest logit: bfloat16 has 8 bits, and sums may be taken in another order


class PrefixGroup(NamedTuple):
    """Prompts, by their rows, that begin with the same ``shared`` tokens and have at least one more each."""

    shared: int
    rows: tuple[int, ...]


def shared_prefix_length(prompts: Sequence[Sequence[int]]) -> int:
    """Number of tokens that all prompts begin with, each having at least one more; 0 if too few to be worth a cache."""
    if len(prompts) < 2:
        return 0
    shared = min(common_prefix_length(*prompts), min(map(len, prompts)) - 1)
    return shared if shared >= _MIN_SHARED else 0


def prefix_groups(prompts: Sequence[Sequence[int]], shared: int) -> tuple[list[PrefixGroup], list[int]]:
    """Group prompts that share more than their first ``shared`` tokens; the second result are the rows in no group."""
    order = sorted(range(len(prompts)), key=lambda row: tuple(prompts[row]))
    groups: list[PrefixGroup] = []
    single: list[int] = []
    while order:
        rows, common = [order[0]], len(prompts[order[0]]) - 1
        for row in order[1:_MAX_GROUP]:
            length = min(common, common_prefix_length(prompts[rows[-1]], prompts[row]), len(prompts[row]) - 1)
            if length - shared < _MIN_GROUP_PREFIX:
                break
            rows.append(row)
            common = length
        if len(rows) > 1:
            groups.append(PrefixGroup(common, tuple(rows)))
        else:
            single += rows
        order = order[len(rows) :]
    return groups, single


def common_prefix_length(*prompts: Sequence[int]) -> int:
    """Number of tokens that all prompts begin with."""
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    pairs = enumerate(zip(first, last, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(first), len(last)))


def middle_layer(layers: int) -> int:
    """The layer, from 1, whose output is used where the settings name none."""
    return max(1, round(_MIDDLE * layers))


class PoolSpec(NamedTuple):
    """Which hidden states are averaged: those of a layer, from 1, after each prompt's first ``skip`` tokens."""

    layer: int
    skip: int = 0


Array = Any
"""A tensor of torch, or an array of numpy where a model runs without torch."""


class PrefixCache(NamedTuple):
    """Result of a forward pass that later ones continue, with ``F`` rows padded on the right to ``T`` tokens.
    ``layers`` are keys and values, each ``(F, heads, T, D)``, or empty; ``lengths`` is ``(F,)``; ``mask``, ``(F, T)``,
    is 0 for padding; ``sums`` of the averaged states is ``(F, H)``, ``counts`` ``(F,)``.
    """

    layers: tuple[tuple[Array, Array], ...]
    lengths: Array
    mask: Array
    sums: Array
    counts: Array


def forward_with_cache(
    backbone: Any,
    prefixes: PrefixCache,
    owners: Sequence[int],
    texts: Sequence[Sequence[int]],
    *,
    pool: PoolSpec | None = None,
    store: bool = False,
) -> tuple[torch.Tensor, PrefixCache]:
    """Run a decoder, in evaluation mode, on texts of a token or more, each continuing the prefix that is its owner.
    Returns each text's last hidden state after the final norm, ``(B, H)``, and the texts as prefixes.
    """
    import torch

    device = next(backbone.parameters()).device
    rows = torch.tensor(list(owners))
    lengths = torch.tensor([len(text) for text in texts])
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
    offsets = torch.arange(ids.shape[1])[None, :]
    own = (offsets < lengths[:, None]).long()
    mask = torch.cat([prefixes.mask[rows], own], dim=1)
    positions = prefixes.lengths[rows][:, None] + offsets
    counted = own * (positions >= pool.skip) if pool is not None else own * 0
    total = prefixes.sums[rows]

    def add(module: Any, inputs: Any, output: Any) -> None:
        nonlocal total
        states = output[0] if isinstance(output, tuple) else output  # (B, T, H)
        total = total + (states.float() * counted.to(device)[:, :, None]).sum(dim=1).cpu()

    reads = store or bool(prefixes.layers)
    cache = _select(backbone, prefixes, rows.to(device)) if reads else None
    with nullcontext() if pool is None else backbone.layers[pool.layer - 1].register_forward_hook(add):
        out = backbone(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=reads,
        )
    last = out.last_hidden_state[torch.arange(len(texts)), (lengths - 1).to(device)]
    counts = prefixes.counts[rows] + counted.sum(dim=1)
    stored = out.past_key_values if store else ()
    if isinstance(stored, tuple):
        layers = tuple((layer[0], layer[1]) for layer in stored)
    else:
        layers = tuple((layer.keys, layer.values) for layer in stored.layers)
    return last, PrefixCache(layers, prefixes.lengths[rows] + lengths, mask, total, counts)


def _select(backbone: Any, prefixes: PrefixCache, rows: torch.Tensor) -> Any:
    """A cache of the library's own kind that holds the keys and values of some prefixes."""
    from transformers import DynamicCache

    selected = [(keys.index_select(0, rows), values.index_select(0, rows)) for keys, values in prefixes.layers]
    if getattr(backbone, "_unsloth_fast_path", False):  # Unsloth's decoders read tuples
        return tuple(selected) or None
    cache = DynamicCache()
    for number, (keys, values) in enumerate(selected):
        cache.update(keys, values, number)
    return cache


class ModelOutputs(NamedTuple):
    """Logits of the answers after each prompt, ``(N, A)``, and mean states, ``(N, H)``; no columns if not asked."""

    logits: NDArray[np.float64]
    states: NDArray[np.float32]


class Forward(Protocol):
    """Runs texts of a token or more, each continuing the prefix that is its owner."""

    def __call__(
        self, prefixes: PrefixCache, owners: Sequence[int], texts: Sequence[Sequence[int]], /, *, store: bool
    ) -> tuple[Any, PrefixCache]:
        """Each text's last state, and the texts as prefixes, with keys and values if they are to be stored."""


def run_prompts(
    prompts: Sequence[Sequence[int]],
    start: PrefixCache,
    forward: Forward,
    put: Callable[[list[int], Any, PrefixCache], None],
    batch_tokens: int = BATCH_TOKENS,
    *,
    share: bool = True,
) -> None:
    """Run one prompt or more in batches of at most ``batch_tokens``, padding included, after ``start``, which has no
    tokens; what several begin with once, if ``share``. ``put`` gets the rows of the prompts and what ``forward`` gave.
    """
    shared = shared_prefix_length(prompts) if share else 0
    if shared:
        _, start = forward(start, [0], [prompts[0][:shared]], store=True)
    groups, single = prefix_groups(prompts, shared) if share else ([], list(range(len(prompts))))

    def fill(prefixes: PrefixCache, owned: Sequence[tuple[int, int]], starts: Sequence[int]) -> None:
        for batch in _batches([len(prompts[row]) - starts[owner] for owner, row in owned], batch_tokens):
            owners, rows = zip(*(owned[number] for number in batch), strict=True)
            texts = [prompts[row][starts[owner] :] for owner, row in zip(owners, rows, strict=True)]
            put(list(rows), *forward(prefixes, owners, texts, store=False))

    fill(start, [(0, row) for row in single], [shared])
    for numbers in _batches([group.shared for group in groups], batch_tokens):
        batch = [groups[number] for number in numbers]
        texts = [prompts[group.rows[0]][shared : group.shared] for group in batch]
        _, prefixes = forward(start, [0] * len(batch), texts, store=True)
        owned = [(owner, row) for owner, group in enumerate(batch) for row in group.rows]
        fill(prefixes, owned, [group.shared for group in batch])


@dataclass(frozen=True, slots=True)
class PromptRunner:
    """Runs prompts in batches of at most ``batch_tokens``, padding included (None: 1,024, on a GPU 2,048); without
    ``answers``, few layers run.
    """

    model: Any
    answers: tuple[int, ...]
    batch_tokens: int | None = None

    def logits(self, prompts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Logits of the answer tokens right after each prompt, shape ``(N, A)``; see ``read``."""
        return self.read(prompts).logits

    def read(self, prompts: Sequence[Sequence[int]], pool: PoolSpec | None = None) -> ModelOutputs:
        """Logits of the answers, and mean hidden states; batching changes a logit by no more than rounding. Raises a
        ``ModelError`` if there is no such layer, no token to average over, or a number isn't finite.
        """
        backbone, _ = backbone_and_head(self.model)
        if pool is not None:
            _check_pool(backbone, pool, prompts)
        size = int(backbone.config.hidden_size) if pool is not None else 0
        numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        outputs = ModelOutputs(np.zeros((len(numbers), len(self.answers))), np.zeros((len(numbers), size), np.float32))
        with _evaluation(self.model), _first_layers(backbone, None if self.answers or pool is None else pool.layer):
            self._fill(outputs, list(numbers), pool)
        if not (np.isfinite(outputs.logits).all() and np.isfinite(outputs.states).all()):
            raise ModelError("the model's output isn't a finite number; its weights are damaged")
        rows = [numbers[tuple(prompt)] for prompt in prompts]
        return ModelOutputs(outputs.logits[rows], outputs.states[rows])

    def _fill(self, outputs: ModelOutputs, prompts: Sequence[Sequence[int]], pool: PoolSpec | None) -> None:
        if not prompts:
            return
        torch = require("torch", "train")
        backbone, head = backbone_and_head(self.model)

        def put(rows: list[int], last: Any, result: PrefixCache) -> None:
            if outputs.logits.shape[1]:
                outputs.logits[rows] = self._answer_logits(head, last)
            if pool is not None:
                outputs.states[rows] = (result.sums / result.counts[:, None]).numpy()

        # Prefixes are padded to one width, and an attention window counts padding: prompts that come near its edge are
        # computed as they are.
        window = attention_window(backbone.config)
        zero = torch.zeros(1, dtype=torch.long)
        start = PrefixCache((), zero, torch.zeros((1, 0), dtype=torch.long), torch.zeros((1, 1)), zero)  # no tokens
        run_prompts(
            prompts, start, partial(forward_with_cache, backbone, pool=pool), put, self._batch_tokens(backbone),
            share=window is None or 2 * max(map(len, prompts)) <= window,
        )  # fmt: skip

    def _batch_tokens(self, backbone: Any) -> int:
        on_gpu = next(backbone.parameters()).device.type == "cuda"
        return self.batch_tokens or (GPU_BATCH_TOKENS if on_gpu else BATCH_TOKENS)

    def _answer_logits(self, head: Any, last: Any) -> NDArray[np.float64]:
        weights = head.weight[list(self.answers)]  # (A, H)
        logits = last.float() @ weights.float().T
        if getattr(head, "bias", None) is not None:
            logits = logits + head.bias[list(self.answers)].float()
        return np.asarray(apply_logit_scaling(self.model, logits).cpu().double().numpy())  # (B, A)


def _check_pool(backbone: Any, pool: PoolSpec, prompts: Sequence[Sequence[int]]) -> None:
    count = len(getattr(backbone, "layers", ()))
    if not 1 <= pool.layer <= count:
        kind = backbone.config.model_type
        raise ModelError(f"this model of type '{kind}' has layers 1 to {count} that can be read, got {pool.layer}")
    shortest = min(map(len, prompts), default=pool.skip + 1)
    if shortest <= pool.skip:
        raise ModelError(f"a prompt of {shortest} tokens has none after the first {pool.skip}")


def backbone_and_head(model: Any) -> tuple[Any, Any]:
    """The layers of a causal language model up to its last hidden states, and its head, through any adapter."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model, inner.get_output_embeddings()


def apply_logit_scaling(model: Any, logits: Any) -> Any:
    """Scale or cap the head's product, of any shape, as the model's own forward pass does."""
    config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config.get_text_config()
    logits = logits * float(getattr(config, "logit_scale", None) or 1.0)  # Cohere
    logits = logits / float(getattr(config, "logits_scaling", None) or 1.0)  # Granite
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2 (Gemma Team, 2024)
    return logits if cap is None else cap * (logits / cap).tanh()


def attention_window(config: Any) -> int | None:
    """Number of tokens that a model's windowed layers look back; None if all layers attend to everything."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    window = getattr(config, "sliding_window", None)
    return None if window is None or getattr(config, "use_sliding_window", True) is False else int(window)


def check_logits(model: Any, name: str) -> None:
    """Raise a ``ModelError`` if a model's logits aren't its last states times its head; tested types are accepted."""
    import torch

    kind = str(model.config.model_type)
    if kind in TESTED_MODEL_TYPES:
        return
    backbone, head = backbone_and_head(model)
    ids = torch.arange(1, 5, device=next(model.parameters()).device)[None, :]
    with _evaluation(model):
        expected = model(input_ids=ids, use_cache=False).logits[0, -1].float()
        states = backbone(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
        logits = apply_logit_scaling(model, head(states)[0].float())
    if (expected - logits).abs().max() > _TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ModelError(
            f"'{name}' is of type '{kind}', which computes its logits in a way that coordi doesn't know; choose a base "
            f"of type {', '.join(TESTED_MODEL_TYPES)}"
        )


@contextmanager
def _evaluation(model: Any) -> Iterator[None]:
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@contextmanager
def full_memory_named() -> Iterator[None]:
    """Replace PyTorch's error about a full GPU by a ``ModelError`` that says what to set."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". GPU")[0].split(". Of")[0]
        raise ModelError(
            f"{reason}; fine-tuning needs less with a smaller finetune.micro_batch_size and with "
            "finetune.gradient_checkpointing=true, scoring with a smaller model.batch_tokens, both with "
            "model.quantization=nf4 or a smaller base; see: coordi doctor --preset NAME"
        ) from error


@contextmanager
def _first_layers(backbone: Any, layers: int | None) -> Iterator[None]:
    if layers is None:
        yield
        return
    every = backbone.layers
    backbone.layers = every[:layers]
    try:
        yield
    finally:
        backbone.layers = every


def _batches(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Positions of similar lengths, at most ``limit`` tokens in each batch."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        # In sorted order this one is the longest of its batch so far.
        if not batches or (len(batches[-1]) + 1) * lengths[index] > limit:
            batches.append([])
        batches[-1].append(index)
    return batches
