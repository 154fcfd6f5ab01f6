"""Step 2: what MiniLM says of the texts of fashion, and a table of token vectors that says nearly the same.

MiniLM is the locked teacher: its sentence vectors, centred and reduced by PCA, are the space. A text's vector in the
table's words is the plain sum of its tokens' vectors, each token's weight being the length of its vector.

References:
    Tulkens and van Dongen, Model2Vec, 2024; Arora et al., A Simple but Tough-to-Beat Baseline, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


@dataclass
class Space:
    """From MiniLM's 384 dimensions to ours: ``unit((v - mean) @ basis)``."""

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]  # (384, D), columns scaled towards equal variance

    def project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of MiniLM's ``(N, 384)``."""
        moved = (vectors - self.mean) @ self.basis
        return (moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def fit_space(vectors: NDArray[np.float32], dimension: int, whitening: float = 0.5) -> Space:
    """PCA; ``whitening`` 0 keeps the variances, 1 makes them equal."""
    mean = vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    scale = (spread[:dimension] / spread[0]) ** -whitening
    return Space(mean, (axes[:dimension].T * scale).astype(np.float32))


@torch.inference_mode()
def teacher_vectors(folder: Path, texts: Sequence[str], batch: int = 256) -> NDArray[np.float32]:
    """MiniLM's unit sentence vectors ``(N, 384)``: the mean over tokens."""
    from transformers import BertModel

    model = BertModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    tokenizer.enable_padding(length=None)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        found = tokenizer.encode_batch([texts[i] for i in rows])
        ids = torch.tensor([e.ids for e in found])
        mask = torch.tensor([e.attention_mask for e in found])
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        vectors[rows] = F.normalize(mean, dim=1).numpy()
    return vectors


class Teacher:
    """MiniLM's vectors of texts, each made once and kept in a file."""

    def __init__(self, folder: Path, cached: Path) -> None:
        self.folder, self.cached = folder, cached
        self.known: dict[str, NDArray[np.float32]] = {}
        if cached.exists():
            with np.load(cached) as saved:
                self.known = dict(zip(saved["texts"].tolist(), saved["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit sentence vectors ``(N, 384)``."""
        new = sorted(set(texts) - set(self.known))
        if new:
            self.known.update(zip(new, teacher_vectors(self.folder, new), strict=True))
            np.savez(self.cached, texts=np.array(list(self.known)), vectors=np.stack(list(self.known.values())))
        return np.stack([self.known[text] for text in texts])


class TokenTable(nn.Module):
    """``(V, D)`` token vectors; a text is the unit sum of its tokens'.

    With ``kept`` only those tokens' vectors are held, in that order, and other tokens can't be asked for.
    """

    def __init__(self, table: Tensor, tokenizer: Tokenizer, kept: NDArray[np.integer] | None = None) -> None:
        super().__init__()
        kept = np.arange(len(table)) if kept is None else kept
        self._place = np.full(len(table), -1)
        self._place[kept] = np.arange(len(kept))
        self.bag = nn.EmbeddingBag.from_pretrained(table[kept].clone(), freeze=False, mode="sum")
        self._tokenizer = tokenizer

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Rows of the table for each text."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self._place[e.ids].tolist() for e in encoded]

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Flat token ids and where each text begins."""
        rows = self.ids(texts)
        offsets = np.cumsum([0, *(len(row) for row in rows)])[:-1]
        return torch.tensor([t for row in rows for t in row]), torch.tensor(offsets)

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """Unit vectors ``(N, D)``."""
        return F.normalize(self.bag(tokens, offsets), dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors ``(N, D)`` of texts."""
        return self(*self.tokens(texts))


def first_table(space: Space, token_vectors: NDArray[np.float32]) -> Tensor:
    """Each token's own sentence vector in the space, longer for rarer ones (BERT's ids run with frequency)."""
    weights = np.log1p(np.arange(len(token_vectors))) / np.log(len(token_vectors))
    return torch.from_numpy(space.project(token_vectors) * weights[:, None].astype(np.float32))


def distil(table: TokenTable, texts: Sequence[str], target: NDArray[np.float32], epochs: int, seed: int) -> float:
    """Bring the table's text vectors to the teacher's; gives the mean cosine at the end."""
    generator = np.random.default_rng([seed, 2])
    encoded = table.ids(texts)
    goal = torch.from_numpy(target)
    optimizer = torch.optim.Adam(table.parameters(), lr=2e-3)
    cosine = 0.0
    for _ in range(epochs):
        cosines = []
        order = generator.permutation(len(texts))
        for start in range(0, len(order), 1024):
            rows = order[start : start + 1024]
            flat = torch.tensor([t for i in rows for t in encoded[i]])
            offsets = torch.tensor(np.cumsum([0, *(len(encoded[i]) for i in rows)])[:-1])
            match = (table(flat, offsets) * goal[rows]).sum(1)
            optimizer.zero_grad()
            (1 - match).mean().backward()
            optimizer.step()
            cosines.append(float(match.detach().mean()))
        cosine = float(np.mean(cosines))
    return cosine
