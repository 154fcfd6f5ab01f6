"""Frozen vectors of texts, and sentence encoders from a folder: a small one with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from coordi.errors import EncoderError
from coordi.evaluation.sentence_encoder import BertSentenceEncoder, TextEmbeddings, load_sentence_encoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["a red shirt", "shoes", "", "ein Kleid, 옷", "red red red shoes", "shirt " * 400]
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "shoes", "shirt", "a")


def write_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # As sentence encoders come from the hub: cut and padded, which the loader has to undo.
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(path))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert") / "tiny"
    torch.manual_seed(4)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    return folder


@pytest.fixture
def copied(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "copy"))


def test_vectors_are_unit_float32_rows_that_depend_on_their_own_text(tiny_bert: Path) -> None:
    encoder = load_sentence_encoder(str(tiny_bert))
    together = encoder.encode_texts(TEXTS * 20)
    assert together.shape == (120, 16)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (20, 1)), atol=1e-5)
    assert encoder.encode_texts([]).shape == (0, 16)
    assert encoder.name == str(tiny_bert)


def test_a_vector_is_the_mean_of_the_last_states_as_transformers_gives_them(tiny_bert: Path) -> None:
    model = transformers.AutoModel.from_pretrained(tiny_bert).eval()
    with torch.no_grad():
        states = model(input_ids=torch.tensor([[2, 7, 4, 6, 3]])).last_hidden_state[0].mean(dim=0).numpy()
    found = load_sentence_encoder(str(tiny_bert)).encode_texts(["A Red shirt"])[0]
    np.testing.assert_allclose(found, states / np.linalg.norm(states), atol=1e-6)


def test_identity_tells_weights_apart(tiny_bert: Path, copied: Path) -> None:
    first = BertSentenceEncoder.from_folder(tiny_bert)
    assert BertSentenceEncoder.from_folder(copied).identity == first.identity
    model = transformers.AutoModel.from_pretrained(tiny_bert)
    model.embeddings.word_embeddings.weight.data[4] += 1
    model.save_pretrained(copied)
    assert BertSentenceEncoder.from_folder(copied).identity != first.identity


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(name: str, copied: Path) -> None:
    (copied / name).unlink()
    with pytest.raises(EncoderError, match=f"copy isn't a sentence encoder: it lacks {name}; give a folder"):
        load_sentence_encoder(str(copied))


def test_weights_that_could_run_code_are_no_weights(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    torch.save({}, copied / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"it lacks model\.safetensors"):
        load_sentence_encoder(str(copied))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_refused(name: str, copied: Path) -> None:
    (copied / name).write_bytes(b"{ not this")
    with pytest.raises(EncoderError, match=r"copy can't be loaded as a sentence encoder: .*; accepted is a BERT-like"):
        load_sentence_encoder(str(copied))


def test_another_kind_of_model_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    with pytest.raises(EncoderError, match=r"its model_type is 'llama'; accepted is a BERT-like model \(bert, "):
        load_sentence_encoder(str(copied))


def test_weights_that_lack_a_part_are_refused(copied: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks 1 weights, such as encoder\.layer\.1\.output\.dense\.weight"):
        load_sentence_encoder(str(copied))


def test_a_tokenizer_of_another_model_is_refused(copied: Path) -> None:
    text = (copied / "tokenizer.json").read_text()
    (copied / "tokenizer.json").write_text(text.replace('"a": 7', '"a": 7, "more": 8'))
    with pytest.raises(EncoderError, match=r"tokenizer\.json has 9 tokens, the model 8"):
        load_sentence_encoder(str(copied))


def test_code_in_the_folder_is_not_run(copied: Path, tmp_path: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    load_sentence_encoder(str(copied)).encode_texts(["red"])
    assert not (tmp_path / "ran").exists()


def test_an_unknown_name_is_told_what_is_accepted() -> None:
    with pytest.raises(EncoderError, match=r"'minilm', which is no folder; accepted are 'edge' or the folder"):
        load_sentence_encoder("minilm")


def test_a_text_is_encoded_once() -> None:
    asked: list[list[str]] = []
    edge = load_sentence_encoder("edge")

    class Counting:
        name = "counting"
        identity = edge.identity

        def encode_texts(self, texts):  # type: ignore[no-untyped-def]
            asked.append(list(texts))
            return edge.encode_texts(texts)

    embeddings = TextEmbeddings(Counting())
    first, second, third = embeddings.rows(["red shirt", "shoes", "red shirt"])
    assert asked == [["red shirt", "shoes"]]
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(second, edge.encode_texts(["shoes"])[0])
    embeddings.rows(["shoes", "a belt"])
    assert asked[1:] == [["a belt"]]
