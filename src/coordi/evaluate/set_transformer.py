"""A small set transformer on frozen embeddings."""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.data.loading import outfits_for
from coordi.errors import require
from coordi.evaluate.features import TRAINING_PROTOCOLS, check_known, epoch_questions, mean_auc, validation_questions
from coordi.types import GARMENT_CATEGORIES, CompatibilityQuestion, Dataset, Item

if TYPE_CHECKING:
    import torch


_WIDTH = 64
_HEADS = 4
_LAYERS = 2
_DROPOUT = 0.2
# Twice the size of an item's projected vector: categories are seen at once, what is learned of styles comes later.
_CATEGORY_SCALE = 2.0
# Before anything is learned the score is this much of the mean cosine, the best guess that needs no learning.
_COSINE_SCALE = 20.0
_OUTFIT_TOKEN = len(GARMENT_CATEGORIES)


def new_network(widths: Sequence[int]) -> Any:
    """A ``torch.nn.ModuleDict`` with fresh weights from torch's global generator.

    Args:
        widths: Of each source of vectors that stand side by side in an item's features.
    """
    torch = require("torch", "train")
    nn = torch.nn
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
            "likeness": nn.Linear(len(widths), 1, bias=False),
        }
    )
    # A projection that keeps angles as well as a random one can, with components of about 1 for vectors of length 1.
    nn.init.orthogonal_(network["features"].weight, gain=sum(widths) ** 0.5)
    nn.init.normal_(network["categories"].weight, std=_CATEGORY_SCALE)
    nn.init.zeros_(network["head"].weight)
    nn.init.constant_(network["likeness"].weight, _COSINE_SCALE / len(widths))
    return network


def logits(
    network: Any, features: torch.Tensor, categories: torch.Tensor, padding: torch.Tensor, widths: Sequence[int]
) -> torch.Tensor:
    """How surely the items of each outfit go together, as logits ``(B,)``.

    An outfit token attends to the items, which have no positions; its last state is read. The mean cosine of the
    items' own vectors is added, source by source, so that little data doesn't have to teach that alike goes with alike.

    Args:
        network: Of ``new_network``.
        features: ``(B, T, D)``; a source that an item lacks is zeros.
        categories: Numbers of worn categories, ``(B, T)``.
        padding: True where there is no item, ``(B, T)``.
        widths: As the network was made for.
    """
    import torch

    batch = len(features)
    token = network["categories"].weight[_OUTFIT_TOKEN].expand(batch, 1, -1)
    items = network["dropout"](network["features"](features) + network["categories"](categories))
    no_token = torch.zeros((batch, 1), dtype=torch.bool)
    states = network["encoder"](
        torch.cat([token, items], dim=1), src_key_padding_mask=torch.cat([no_token, padding], dim=1)
    )  # (B, 1 + T, W)
    read = network["head"](network["dropout"](network["norm"](states[:, 0])))[:, 0]  # (B,)
    total: torch.Tensor = read + network["likeness"](_cosines(features, padding, widths))[:, 0]
    return total


def _cosines(features: torch.Tensor, padding: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Mean cosine over pairs, ``(B, S)`` for S sources; 0 for fewer than two items."""
    import torch

    present = (~padding)[..., None].to(features)  # (B, T, 1)
    count = present.sum(dim=1)  # (B, 1)
    masked = features * present
    sums = []
    for end, width in zip(accumulate(widths), widths, strict=True):
        source = masked[..., end - width : end]  # (B, T, width)
        # The squared length of the sum holds each pair twice, and each vector with itself.
        sums.append(source.sum(dim=1).square().sum(dim=-1) - source.square().sum(dim=(1, 2)))
    return torch.stack(sums, dim=-1) / (count * (count - 1)).clamp(min=1)


Vectors = Mapping[str, NDArray[np.float32]]
_Batch = tuple[list[tuple[str, ...]], list[float]]

_STREAM = 424  # of the run's seed, for first weights, dropout and the order of questions
_BATCH = 64
_EPOCHS = 14
# Fewer steps teach nothing, more take more than a minute.
_LEAST_STEPS, _MOST_STEPS = 300, 3000
_CHECKS = 14  # how often the validation split is asked; the best state is kept
_VALID_QUESTIONS = 4000
_VALID_DRAWS = 4
_LEARNING_RATE = 2e-3
_WARM_UP = 50
_WEIGHT_DECAY = 0.05
_SCORED_AT_ONCE = 256


class SetTransformer:
    """Self-attention over the items of an outfit, without positions, on vectors that aren't trained.

    A small take on OutfitTransformer: the items' vectors and their worn categories go through two layers of attention
    with a token for the outfit. Trained with redrawn negatives of the training protocols; the weights that are best on
    the validation split are kept.

    References:
        Sarkar et al., OutfitTransformer: Learning Outfit Representations for Fashion Recommendation, 2022.
    """

    name = "set-transformer"
    gives_probabilities = True

    def __init__(self, network: Any, wardrobe: _Wardrobe) -> None:
        self._network = network
        self._wardrobe = wardrobe

    @classmethod
    def fit(cls, dataset: Dataset, sources: Sequence[Vectors], seed: int) -> SetTransformer:
        """Train on the training split, on one thread, so that their number doesn't change the result.

        Args:
            dataset: With a training and a validation split.
            sources: Vectors of length 1 or 0 by item id, of sentences and perhaps of photos; an item that one lacks
                has zeros there.
            seed: Of the negatives, first weights, dropout and the order of questions.

        Raises:
            DataError: If a split has no outfits, or too few to make any negative.
            MissingDependencyError: If torch isn't installed.
        """
        torch = require("torch", "train")
        # A positive and a negative of each outfit and protocol.
        per_epoch = 2 * len(TRAINING_PROTOCOLS) * len(outfits_for(dataset, "train"))
        steps = min(max(_EPOCHS * per_epoch // _BATCH, _LEAST_STEPS), _MOST_STEPS)
        parts = validation_questions(dataset, seed, _draws(len(outfits_for(dataset, "valid"))))
        first_weights = int(np.random.SeedSequence([seed, _STREAM]).generate_state(1)[0])
        with _one_thread(torch), torch.random.fork_rng(devices=[]):
            torch.manual_seed(first_weights)
            wardrobe = _Wardrobe(dataset.items, sources)
            scorer = cls(new_network(wardrobe.widths), wardrobe)
            scorer._train(_batches(dataset, seed), steps, parts)
        return scorer

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``.

        Worked out in double precision, so that what shares a batch and how many threads there are change nothing that
        could be seen.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._wardrobe.places)
        torch = require("torch", "train")
        scores = np.zeros(len(outfits))
        # Outfits of one size share a batch, so that little is padded.
        order = sorted(range(len(outfits)), key=lambda row: len(outfits[row]))
        for start in range(0, len(order), _SCORED_AT_ONCE):
            rows = order[start : start + _SCORED_AT_ONCE]
            with torch.inference_mode(), _one_thread(torch):
                found = self._logits(self._wardrobe.places_of([outfits[row] for row in rows]))
                scores[rows] = torch.sigmoid(found).numpy()
        return scores

    def _logits(self, places: torch.Tensor) -> torch.Tensor:
        """Of outfits as item numbers ``(B, T)``, -1 where there is none."""
        known = places.clamp(min=0)
        wardrobe = self._wardrobe
        features = wardrobe.features[known].to(self._network["features"].weight.dtype)  # (B, T, D)
        return logits(self._network, features, wardrobe.categories[known], places < 0, wardrobe.widths)

    def _train(self, batches: Iterator[_Batch], steps: int, parts: Sequence[Sequence[CompatibilityQuestion]]) -> None:
        torch = require("torch", "train")
        network = self._network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        checks = {round(steps * (number + 1) / _CHECKS) for number in range(_CHECKS)}
        best, kept = -1.0, None
        for step, (outfits, compatible) in zip(range(1, steps + 1), batches, strict=False):
            places = self._wardrobe.places_of(outfits)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self._logits(places), torch.tensor(compatible))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step in checks:
                with _in_double(network):
                    reached = mean_auc(self, parts)
                if reached > best:
                    best, kept = reached, copy.deepcopy(network.state_dict())
        if kept is not None:
            network.load_state_dict(kept)
        network.double().eval()


class _Wardrobe:
    """Every item's vectors and category as tensors, so that an outfit is a row of item numbers.

    Attributes:
        places: An item's number by its id.
        widths: Of each source of vectors.
        features: ``(I, D)``, the sources side by side.
        categories: Numbers of worn categories, ``(I,)``.
    """

    def __init__(self, items: Mapping[str, Item], sources: Sequence[Vectors]) -> None:
        import torch

        self.places = {item_id: place for place, item_id in enumerate(items)}
        self.widths = tuple(len(next(iter(source.values()))) for source in sources)
        rows = np.zeros((len(items), sum(self.widths)), dtype=np.float32)
        for source, end in zip(sources, np.cumsum(self.widths), strict=True):
            for item_id, vector in source.items():
                rows[self.places[item_id], end - len(vector) : end] = vector
        numbers = [GARMENT_CATEGORIES.index(item.category) for item in items.values()]
        self.features = torch.from_numpy(rows)
        self.categories = torch.tensor(numbers)
        # Sums over items round by their order: it is that of what they are, whatever they are called.
        self._content = [
            (number, hashlib.blake2b(row.tobytes(), digest_size=8).digest())
            for number, row in zip(numbers, rows, strict=True)
        ]

    def places_of(self, outfits: Sequence[Sequence[str]]) -> torch.Tensor:
        """Item numbers of outfits, ``(B, T)``, each outfit's in an order of their own, then -1."""
        import torch

        longest = max(map(len, outfits))
        places = np.full((len(outfits), longest), -1)
        for row, outfit in zip(places, outfits, strict=True):
            known = [self.places[item_id] for item_id in outfit]
            row[: len(known)] = sorted(known, key=self._content.__getitem__)
        return torch.from_numpy(places)


def _batches(dataset: Dataset, seed: int) -> Iterator[_Batch]:
    """Outfits with labels, epoch after epoch without an end; negatives are drawn anew in each."""
    for epoch in itertools.count():
        questions = [one for part in epoch_questions(dataset, seed, epoch).values() for one in part]
        order = np.random.default_rng([seed, _STREAM, epoch]).permutation(len(questions))
        for start in range(0, len(order), _BATCH):
            batch = [questions[int(place)] for place in order[start : start + _BATCH]]
            yield [one.item_ids for one in batch], [float(one.compatible) for one in batch]


def _draws(outfits: int) -> int:
    """How often the validation negatives are drawn: a small split tells more with several of each."""
    return max(1, min(_VALID_DRAWS, _VALID_QUESTIONS // (2 * len(TRAINING_PROTOCOLS) * outfits)))


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: a short warm-up, then down along a cosine to 0."""
    return min(1.0, (step + 1) / _WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2


@contextmanager
def _in_double(network: Any) -> Iterator[None]:
    network.double().eval()
    yield
    network.float().train()


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
