"""Texts as frozen embeddings for the baselines: by the bundled text encoder, or by a sentence encoder from a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import hash_file
from coordi.encoders.base import EDGE
from coordi.errors import EncoderError, require
from coordi.model.base import quiet_libraries

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
# Model types whose last hidden state, averaged over tokens, is a sentence embedding.
_TYPES = ("bert", "distilbert", "roberta", "xlm-roberta", "mpnet", "electra", "camembert")
# The length that all-MiniLM-L6-v2 and similar encoders are trained with; texts of items are far shorter.
_MOST_TOKENS = 256
_BATCH = 64
_EXTRA = "train"


class SentenceEncoder(Protocol):
    """Texts as vectors with a meaningful cosine; every image and text encoder is one too."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of texts, in order; ``(0, D)`` for none."""
        ...


class TextEmbeddings:
    """Unit embeddings of texts; each text is encoded once."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, NDArray[np.float32]] = {}

    def rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts, shape ``(N, D)``."""
        new = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if new:
            self._rows |= zip(new, self._encoder.encode_texts(new), strict=True)
        return np.stack([self._rows[text] for text in texts])


def load_sentence_encoder(name: str) -> SentenceEncoder:
    """Load ``edge``, the bundled text encoder, or the folder of a BERT-like encoder; nothing is downloaded.

    Raises:
        EncoderError: If there is no such encoder, or its files are damaged or of another kind.
        MissingDependencyError: If a folder is given without the ``train`` extra.
    """
    if name == EDGE:
        from coordi.encoders.edge import EdgeEncoder

        return EdgeEncoder.bundled()
    folder = Path(name)
    if not folder.is_dir():
        raise EncoderError(
            f"evaluate.sentence_encoder is '{name}', which is no folder; accepted are '{EDGE}' or the folder of a "
            f"BERT-like sentence encoder with {', '.join(_NEEDED)}, such as all-MiniLM-L6-v2"
        )
    return BertSentenceEncoder.from_folder(folder)


class BertSentenceEncoder:
    """A BERT-like encoder: the mean of its last hidden states over the tokens, scaled to unit length.

    Texts are cut at 256 tokens.

    References:
        Reimers and Gurevych, Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks, 2019.
    """

    def __init__(self, name: str, identity: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.identity = identity
        self.dimension = int(model.config.hidden_size)
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> BertSentenceEncoder:
        """Load a checkpoint in the Hugging Face layout; only safetensors, no code from the folder, no network."""
        files = [folder / name for name in _NEEDED]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise EncoderError(
                f"{folder} isn't a sentence encoder: it lacks {', '.join(missing)}; give a folder in the Hugging Face "
                f"layout with {', '.join(_NEEDED)}"
            )
        try:
            model = _load_model(folder)
            tokenizer = _load_tokenizer(folder / "tokenizer.json", model)
        # transformers, tokenizers and safetensors raise types of their own for broken files, some bare Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise EncoderError(
                f"{folder} can't be loaded as a sentence encoder: {reason}; accepted is a BERT-like model "
                f"({', '.join(_TYPES)}) with {', '.join(_NEEDED)}"
            ) from error
        identity = hashlib.sha256("".join(hash_file(path) for path in files).encode()).hexdigest()
        return cls(str(folder), identity, model, tokenizer)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)``, in order."""
        torch = require("torch", _EXTRA)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Texts of one length share a batch, so that nothing is padded.
        lengths = np.array([len(ids) for ids in tokens])
        for length in np.unique(lengths):
            numbers = np.flatnonzero(lengths == length)
            for batch in np.split(numbers, range(_BATCH, len(numbers), _BATCH)):
                with torch.inference_mode():
                    ids = torch.tensor([tokens[number] for number in batch])
                    states = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
                vectors[batch] = torch.nn.functional.normalize(states.mean(dim=1), dim=-1).numpy()  # (B, D)
        return vectors


def _load_model(folder: Path) -> Any:
    model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if model_type not in _TYPES:
        raise ValueError(f"its model_type is {model_type!r}")
    with quiet_libraries():
        model, info = require("transformers", _EXTRA).AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=require("torch", _EXTRA).float32,
            output_loading_info=True,
        )
    # The pooler over the first token isn't used.
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"model.safetensors lacks {len(missing)} weights, such as {missing[0]}")
    return model.eval()


def _load_tokenizer(path: Path, model: Any) -> Any:
    from tokenizers import Tokenizer

    tokenizer, embeddings = Tokenizer.from_file(str(path)), model.get_input_embeddings().num_embeddings
    if tokenizer.get_vocab_size() > embeddings:
        raise ValueError(f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, the model {embeddings}")
    if not tokenizer.encode("").ids:
        raise ValueError("tokenizer.json puts no token at the ends of a text")
    tokenizer.no_padding()
    # RoBERTa and similar models reserve two positions.
    tokenizer.enable_truncation(min(_MOST_TOKENS, model.config.max_position_embeddings - 2))
    return tokenizer
