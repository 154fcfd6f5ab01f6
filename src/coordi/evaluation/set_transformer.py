"""A small set transformer on frozen embeddings: a trained baseline without a language model."""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.data.loading import outfits_for
from coordi.data.questions import draw_compatibility
from coordi.errors import require
from coordi.evaluation.metrics import roc_auc
from coordi.model.ensemble import TRAINING_NEGATIVES, outfits_and_labels, validation_questions
from coordi.types import GARMENT_CATEGORIES, Dataset, Item, OutfitScorer, RandomStream

if TYPE_CHECKING:
    import torch

Embed = Callable[[Sequence[Item]], NDArray[np.float32]]
Part = tuple[Sequence[Sequence[Item]], NDArray[np.bool_]]
"""Outfits, and whether each is real, ``(N,)``."""

_WIDTH = 64
_HEADS = 4
_LAYERS = 2
_DROPOUT = 0.2
# Twice the size of an item's projected embedding: the network uses categories from the start and styles later.
_CATEGORY_SCALE = 2.0
# Before training, the score is the mean cosine times this.
_COSINE_SCALE = 20.0
_OUTFIT_TOKEN = len(GARMENT_CATEGORIES)

_BATCH = 64
_EPOCHS = 14
# Fewer steps learn nothing, more take over a minute.
_FEWEST_STEPS, _MOST_STEPS = 300, 3000
_CHECKS = 14  # evaluations of the validation split; the best weights are restored
_VALID_QUESTIONS = 4000
_VALID_DRAWS = 4
_LEARNING_RATE = 2e-3
_WARM_UP = 50
_WEIGHT_DECAY = 0.05
_SCORE_BATCH = 256


class SetTransformer:
    """Self-attention over the items of an outfit, without positions, on embeddings that aren't trained.

    A small variant of OutfitTransformer (Sarkar et al., 2022): two attention layers with a token for the outfit.
    Negatives are redrawn in each epoch; the weights that are best on the validation split are restored at the end.
    """

    name = "set-transformer"
    gives_probabilities = True

    def __init__(self, network: Any, features: _Features) -> None:
        self._network = network
        self._features = features

    @classmethod
    def fit(cls, dataset: Dataset, sources: Sequence[Embed], seed: int) -> SetTransformer:
        """Train on one thread: more would change the result. ``sources`` give rows ``(N, D)`` of length 1 or 0."""
        torch = require("torch", "train")
        # A positive and a negative of each outfit and kind of negatives.
        per_outfit = 2 * len(TRAINING_NEGATIVES)
        epoch = per_outfit * len(outfits_for(dataset, "train"))
        steps = min(max(_EPOCHS * epoch // _BATCH, _FEWEST_STEPS), _MOST_STEPS)
        # A small validation split needs several draws of negatives.
        draws = max(1, min(_VALID_DRAWS, _VALID_QUESTIONS // (per_outfit * len(outfits_for(dataset, "valid")))))
        parts = [outfits_and_labels(dataset, part) for part in validation_questions(dataset, seed, draws)]
        initial_seed = int(np.random.SeedSequence([seed, RandomStream.SET_TRANSFORMER]).generate_state(1)[0])
        with _single_thread(torch), torch.random.fork_rng(devices=[]):
            torch.manual_seed(initial_seed)
            features = _Features(sources, list(dataset.items.values()))
            scorer = cls(_new_network(features.widths), features)
            scorer._train(_batches(dataset, seed), steps, parts)
        return scorer

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Probability that the items are compatible, shape ``(N,)``, computed in double precision."""
        torch = require("torch", "train")
        scores = np.zeros(len(outfits))
        # Outfits of the same size share a batch, so that there is little padding.
        order = sorted(range(len(outfits)), key=lambda row: len(outfits[row]))
        for start in range(0, len(order), _SCORE_BATCH):
            rows = order[start : start + _SCORE_BATCH]
            with torch.inference_mode(), _single_thread(torch):
                scores[rows] = torch.sigmoid(self._logits([outfits[row] for row in rows])).numpy()
        return scores

    def _logits(self, outfits: Sequence[Sequence[Item]]) -> torch.Tensor:
        """Logits ``(B,)``: a head on the outfit token, plus mean cosines, so that similarity need not be learned."""
        import torch

        network = self._network
        features, categories, padding = self._features.batch(outfits)
        features = features.to(network["features"].weight.dtype)  # (B, T, D)
        token = network["categories"].weight[_OUTFIT_TOKEN].expand(len(outfits), 1, -1)
        items = network["dropout"](network["features"](features) + network["categories"](categories))
        no_padding = torch.zeros((len(outfits), 1), dtype=torch.bool)
        states = network["encoder"](
            torch.cat([token, items], dim=1), src_key_padding_mask=torch.cat([no_padding, padding], dim=1)
        )  # (B, 1 + T, W)
        head = network["head"](network["dropout"](network["norm"](states[:, 0])))[:, 0]  # (B,)
        cosines = network["cosines"](_mean_cosines(features, padding, self._features.widths))[:, 0]
        total: torch.Tensor = head + cosines
        return total

    def _train(self, batches: Iterator[Part], steps: int, parts: Sequence[Part]) -> None:
        torch = require("torch", "train")
        network = self._network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        # A short warm-up, then a cosine down to 0.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / _WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
        )
        checks = {round(steps * (number + 1) / _CHECKS) for number in range(_CHECKS)}
        best, best_weights = -1.0, None
        for step, (outfits, labels) in zip(range(1, steps + 1), batches, strict=False):
            truth = torch.tensor(labels.astype(np.float32))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self._logits(outfits), truth)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step in checks:
                network.double().eval()
                auc = mean_auc(self, parts)
                network.float().train()
                if auc > best:
                    best, best_weights = auc, copy.deepcopy(network.state_dict())
        if best_weights is not None:
            network.load_state_dict(best_weights)
        network.double().eval()


def mean_auc(scorer: OutfitScorer, parts: Sequence[Part]) -> float:
    """Mean AUC over sets of outfits, the criterion by which baselines are chosen; each set needs both classes."""
    return float(np.mean([roc_auc(scorer.score(outfits), labels) for outfits, labels in parts]))


class _Features:
    """Embeddings and categories of items as tensors; each item is encoded once, given ones in the constructor."""

    def __init__(self, sources: Sequence[Embed], items: Sequence[Item]) -> None:
        self._sources = sources
        self._items: list[Item] = []
        self._numbers: dict[int, int] = {}  # by identity; the list keeps the items alive
        self._sort_keys: list[tuple[int, bytes]] = []
        self.widths = tuple(source(items[:1]).shape[1] for source in sources)
        self._rows = np.zeros((0, sum(self.widths)), dtype=np.float32)
        self._add(items)

    def batch(self, outfits: Sequence[Sequence[Item]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features ``(B, T, D)``, categories and padding ``(B, T)``; items are sorted, so that sums round the same."""
        import torch

        self._add([item for outfit in outfits for item in outfit if id(item) not in self._numbers])
        numbers = np.full((len(outfits), max(map(len, outfits))), -1)
        for row, outfit in zip(numbers, outfits, strict=True):
            row[: len(outfit)] = sorted((self._numbers[id(item)] for item in outfit), key=self._sort_keys.__getitem__)
        clamped = np.maximum(numbers, 0)
        categories = np.array([key[0] for key in self._sort_keys])[clamped]
        return torch.from_numpy(self._rows[clamped]), torch.from_numpy(categories), torch.from_numpy(numbers < 0)

    def _add(self, items: Sequence[Item]) -> None:
        new = list({id(item): item for item in items}.values())
        if not new:
            return
        rows = np.concatenate([source(new) for source in self._sources], axis=1)  # (N, D)
        for item, row in zip(new, rows, strict=True):
            self._numbers[id(item)] = len(self._items)
            self._items.append(item)
            category = GARMENT_CATEGORIES.index(item.category or "accessory")
            self._sort_keys.append((category, hashlib.blake2b(row.tobytes(), digest_size=8).digest()))
        self._rows = np.concatenate([self._rows, rows.astype(np.float32)])


def _new_network(widths: Sequence[int]) -> Any:
    """A ``torch.nn.ModuleDict`` for sources of these widths, initialised by torch's global generator."""
    nn = require("torch", "train").nn
    layer = nn.TransformerEncoderLayer(
        _WIDTH, _HEADS, 2 * _WIDTH, _DROPOUT, activation="gelu", batch_first=True, norm_first=True
    )
    network = nn.ModuleDict(
        {
            "features": nn.Linear(sum(widths), _WIDTH, bias=False),
            "categories": nn.Embedding(_OUTFIT_TOKEN + 1, _WIDTH),
            "dropout": nn.Dropout(_DROPOUT),
            "encoder": nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False),
            "norm": nn.LayerNorm(_WIDTH),
            "head": nn.Linear(_WIDTH, 1),
            "cosines": nn.Linear(len(widths), 1, bias=False),
        }
    )
    # An orthogonal projection preserves angles; components are about 1 for unit vectors.
    nn.init.orthogonal_(network["features"].weight, gain=sum(widths) ** 0.5)
    nn.init.normal_(network["categories"].weight, std=_CATEGORY_SCALE)
    nn.init.zeros_(network["head"].weight)
    nn.init.constant_(network["cosines"].weight, _COSINE_SCALE / len(widths))
    return network


def _mean_cosines(features: torch.Tensor, padding: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Mean cosine over pairs, ``(B, S)`` for S sources; 0 for fewer than two items."""
    import torch

    present = (~padding)[..., None].to(features)  # (B, T, 1)
    count = present.sum(dim=1)  # (B, 1)
    masked = features * present
    sums = []
    for end, width in zip(accumulate(widths), widths, strict=True):
        source = masked[..., end - width : end]  # (B, T, width)
        # The square of a sum holds each pair twice, and each vector with itself.
        sums.append(source.sum(dim=1).square().sum(dim=-1) - source.square().sum(dim=(1, 2)))
    return torch.stack(sums, dim=-1) / (count * (count - 1)).clamp(min=1)


def _batches(dataset: Dataset, seed: int) -> Iterator[Part]:
    for epoch in itertools.count():
        questions = [
            question
            for negatives in TRAINING_NEGATIVES
            for question in draw_compatibility(dataset, "train", negatives, seed, epoch).questions
        ]
        order = np.random.default_rng([seed, RandomStream.SET_TRANSFORMER, epoch]).permutation(len(questions))
        for start in range(0, len(order), _BATCH):
            yield outfits_and_labels(dataset, [questions[int(n)] for n in order[start : start + _BATCH]])


@contextmanager
def _single_thread(torch: Any) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
