"""Vectors and probabilities are those of the reference libraries' own pipelines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coordi.config import DescribeSettings
from coordi.encoders.base import load_encoder, load_settled_encoder
from coordi.encoders.clip import load_checkpoint
from coordi.encoders.complements import recommender_of
from coordi.encoders.labels import LabelClassifier
from coordi.errors import EncoderError

from .checkpoint_builders import LETTERS

torch = pytest.importorskip("torch", reason="needs the train extra")
transformers = pytest.importorskip("transformers", reason="needs the train extra")

TEXTS = ["a red bag", "red", "A Red  DRESS, with_a.bag!", "a long dress " * 20, "caf\u00e9"]
# What SigLIP's authors do to a text before its tokenizer.
CANONICAL = ["a red bag", "red", "a red dress withabag", ("a long dress " * 20).strip(), "caf\u00e9"]


def unit(vectors: Any) -> npt.NDArray[np.float32]:
    rows = np.asarray(vectors.numpy(), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def by_transformers(folder: Path, photos: list[Image.Image], texts: list[str]) -> Any:
    """The whole model's output for photos and texts, as the documentation of transformers calls it."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    if kind == "clip":
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        processor: Any = CLIPImageProcessorPil.from_pretrained(folder)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
        model = transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    else:
        from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

        processor = SiglipImageProcessorPil.from_pretrained(folder)
        pad = "<pad>" if "gemma" in (folder / "tokenizer_config.json").read_text().lower() else "</s>"
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token=pad)
        found = tokenizer(texts, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
        tokens = {"input_ids": found["input_ids"]}
        model = transformers.SiglipModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = processor(images=[photo.convert("RGB") for photo in photos], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return model(pixel_values=pixels, **tokens)


@pytest.mark.parametrize(
    ("kind", "texts"), [("clip", TEXTS), ("siglip", CANONICAL), ("siglip2", [text.lower() for text in TEXTS])]
)
def test_vectors_and_probabilities_are_those_of_transformers(
    tiny_checkpoints: Mapping[str, Path], photos: list[Image.Image], kind: str, texts: list[str]
) -> None:
    folder = tiny_checkpoints[kind]
    grey = [*photos, photos[1].convert("L")]
    expected = by_transformers(folder, grey, texts)
    encoder = load_encoder(str(folder))
    images, words = encoder.encode_images(grey), encoder.encode_texts(TEXTS)
    np.testing.assert_allclose(images, unit(expected.image_embeds), atol=1e-4)
    np.testing.assert_allclose(words, unit(expected.text_embeds), atol=1e-4)
    logits = expected.logits_per_image
    shares = torch.sigmoid(logits) if kind.startswith("siglip") else logits.softmax(dim=1)
    found = LabelClassifier(words, encoder.logit_scale, encoder.logit_bias).probabilities(images)
    np.testing.assert_allclose(found, shares.numpy(), atol=1e-4)


def test_open_clips_layout_gives_open_clips_vectors(
    tiny_checkpoints: Mapping[str, Path], photos: list[Image.Image]
) -> None:
    from safetensors.torch import load_file

    from . import reference_siglip

    folder = tiny_checkpoints["open_clip"]
    weights = load_file(folder / "open_clip_model.safetensors")
    squashed = [np.asarray(photo.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32) for photo in photos]
    pixels = torch.from_numpy((np.stack(squashed) / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="</s>")
    # An underscore becomes a space, HTML and broken encodings are mended, before the rest.
    canonical = ["a red bag", "red", "a red dress with abag", CANONICAL[3], "caf\u00e9", "a bag"]
    texts = [*TEXTS[:4], "cafÃ©", "a &amp;amp; bag"]
    tokens = tokenizer(canonical, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
    encoder = load_encoder(str(folder))
    images, words = encoder.encode_images(photos), encoder.encode_texts(texts)
    expected = unit(reference_siglip.image_features(weights, pixels, heads=12))
    np.testing.assert_allclose(images, expected, atol=1e-4)
    expected = unit(reference_siglip.text_features(weights, tokens["input_ids"], heads=12))
    np.testing.assert_allclose(words, expected, atol=1e-4)
    assert encoder.logit_scale == pytest.approx(np.exp(2.2))
    assert encoder.logit_bias == pytest.approx(-3.5)


def test_open_clips_configuration_decides_activation_and_patches(
    tiny_checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    from . import reference_siglip

    folder = shutil.copytree(tiny_checkpoints["open_clip"], tmp_path / "other")
    model = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    model["text_cfg"]["act_kwargs"] = {"approximate": "tanh"}  # as SigLIP 2 has it
    edit(folder, "open_clip_config.json", model_cfg=model)
    weights, encoder = load_file(folder / "open_clip_model.safetensors"), load_checkpoint(folder)
    tokens = torch.from_numpy(encoder.tokens.encode(TEXTS))
    exact, near = (unit(reference_siglip.text_features(weights, tokens, 12, kind)) for kind in ("none", "tanh"))
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), near, atol=1e-6)
    assert np.abs(exact - near).max() > 1e-5
    model["vision_cfg"]["timm_model_name"] = "vit_so400m_patch14_siglip_384"
    edit(folder, "open_clip_config.json", model_cfg=model)
    with pytest.raises(EncoderError, match="can't be loaded as a checkpoint"):  # its patches are of 16
        load_checkpoint(folder)


def test_old_files_that_give_sizes_as_numbers(tiny_clip: Path, photos: list[Image.Image], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "old")
    given = json.loads((folder / "preprocessor_config.json").read_text())
    del given["image_processor_type"], given["do_rescale"]
    given |= {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps(given))
    old, new = load_encoder(str(folder)), load_encoder(str(tiny_clip))
    np.testing.assert_array_equal(old.encode_images(photos), new.encode_images(photos))


def test_the_processors_file_of_newer_transformers(tiny_clip: Path, photos: list[Image.Image], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "new")
    given = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": given}))
    one, other = load_encoder(str(folder)), load_encoder(str(tiny_clip))
    np.testing.assert_array_equal(one.encode_images(photos), other.encode_images(photos))


def test_weights_in_half_precision_and_in_parts(tiny_clip: Path, photos: list[Image.Image], tmp_path: Path) -> None:
    model = transformers.CLIPModel.from_pretrained(tiny_clip)
    halves, parts = (shutil.copytree(tiny_clip, tmp_path / name) for name in ("halves", "parts"))
    (parts / "model.safetensors").unlink()
    model.save_pretrained(parts, max_shard_size="10KB")
    assert (parts / "model.safetensors.index.json").is_file()
    whole = load_encoder(str(tiny_clip)).encode_images(photos)
    np.testing.assert_array_equal(load_encoder(str(parts)).encode_images(photos), whole)
    model.half().save_pretrained(halves)
    found = load_encoder(str(halves)).encode_images(photos)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole, atol=5e-3)
    next(parts.glob("model-00002-of-*.safetensors")).unlink()
    with pytest.raises(EncoderError, match=r"lacks model-00002-of-\d+\.safetensors"):
        load_encoder(str(parts))


@pytest.mark.parametrize("kind", ["clip", "clip in ONNX"])
def test_a_process_holds_an_encoder_once(
    kind: str, tiny_clip: Path, tiny_exports: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_exports["clip"] if "ONNX" in kind else tiny_clip, tmp_path / "clip")
    settings = DescribeSettings(encoder=str(folder))
    encoder = load_settled_encoder(settings)
    assert load_settled_encoder(settings.model_copy(update={"batch_size": 1})) is encoder
    assert recommender_of(settings).encoder is encoder
    (folder / "README.md").write_text("a card")
    assert load_settled_encoder(settings) is not encoder


def test_identity_changes_with_what_shapes_vectors(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    identity = load_encoder(str(tiny_clip)).identity
    assert load_encoder(str(folder)).identity == identity
    (folder / "README.md").write_text("a card")
    assert load_encoder(str(folder)).identity == identity
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**processor, "do_rescale": False}))
    assert load_encoder(str(folder)).identity != identity


def edit(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_open_clips_layout_needs_no_pointer_to_code(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoints["open_clip"], tmp_path / "timm")
    whole = load_encoder(str(tiny_checkpoints["open_clip"])).encode_texts(TEXTS)
    (folder / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_siglip_224"}))
    np.testing.assert_array_equal(load_encoder(str(folder)).encode_texts(TEXTS), whole)
    (folder / "config.json").unlink()
    np.testing.assert_array_equal(load_encoder(str(folder)).encode_texts(TEXTS), whole)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("clip", "config.json", r"lacks config\.json"),
        ("clip", "model.safetensors", r"lacks model\.safetensors"),
        ("clip", "preprocessor_config.json", r"lacks preprocessor_config\.json"),
        ("clip", "vocab.json", r"lacks tokenizer\.json \(or vocab\.json and merges\.txt\)"),
        ("siglip", "tokenizer.json", r"lacks tokenizer\.json"),
        ("open_clip", "open_clip_config.json", r"loaded by code of its own .*open_clip_model\.safetensors"),
        ("open_clip", "open_clip_model.safetensors", r"lacks open_clip_model\.safetensors"),
    ],
)
def test_a_missing_file_is_named(
    tiny_checkpoints: Mapping[str, Path], tmp_path: Path, kind: str, name: str, said: str
) -> None:
    folder = shutil.copytree(tiny_checkpoints[kind], tmp_path / "copy")
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=said):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("kind", "name", "pickled"),
    [
        ("clip", "model.safetensors", "pytorch_model.bin"),
        ("open_clip", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
    ],
)
def test_pickle_is_never_opened(
    tiny_checkpoints: Mapping[str, Path], tmp_path: Path, kind: str, name: str, pickled: str
) -> None:
    folder = shutil.copytree(tiny_checkpoints[kind], tmp_path / "copy")
    (folder / name).unlink()
    torch.save({"x": torch.zeros(1)}, folder / pickled)
    with pytest.raises(EncoderError, match=rf"pickle only \({pickled}\) .*convert it .*save_pretrained"):
        load_encoder(str(folder))


def test_a_tokenizer_in_sentencepiece_only_says_where_the_other_is(
    tiny_checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_checkpoints["siglip"], tmp_path / "copy")
    (folder / "tokenizer.json").rename(folder / "spiece.model")
    with pytest.raises(EncoderError, match=r"spiece\.model only and lacks tokenizer\.json; get that file from"):
        load_encoder(str(folder))


def test_an_end_token_that_the_tokenizer_forgets_is_added(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoints["siglip2"], tmp_path / "copy")
    edit(folder, "tokenizer.json", post_processor=None)
    whole, mended = (load_encoder(str(one)).encode_texts(TEXTS) for one in (tiny_checkpoints["siglip2"], folder))
    np.testing.assert_array_equal(whole, mended)


def test_other_models_are_refused(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoints["clip"], tmp_path / "clip")
    edit(folder, "config.json", model_type="bert")
    with pytest.raises(EncoderError, match=r"of type 'bert' .*accepted are 'clip' and 'siglip'"):
        load_encoder(str(folder))
    edit(folder, "config.json", model_type="siglip2")
    with pytest.raises(EncoderError, match=r"NaFlex.*google/siglip2-base-patch16-224"):
        load_encoder(str(folder))
    folder = shutil.copytree(tiny_checkpoints["open_clip"], tmp_path / "open")
    model = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    model["vision_cfg"] = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16}
    edit(folder, "open_clip_config.json", model_cfg=model)
    with pytest.raises(EncoderError, match="open_clip checkpoint of another kind"):
        load_encoder(str(folder))


def test_damaged_files_are_refused(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    for kind, name in (("clip", "model.safetensors"), ("open_clip", "open_clip_model.safetensors")):
        folder = shutil.copytree(tiny_checkpoints[kind], tmp_path / kind)
        content = (folder / name).read_bytes()
        for broken in (content[: len(content) // 2], b"", b"\x80\x04pickle"):
            (folder / name).write_bytes(broken)
            with pytest.raises(EncoderError, match=r"can't be loaded as a checkpoint: .*get its files again"):
                load_encoder(str(folder))
    folder = shutil.copytree(tiny_checkpoints["siglip"], tmp_path / "siglip")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderError, match="can't be loaded as a checkpoint"):
        load_encoder(str(folder))
    (folder / "config.json").write_text("[")
    with pytest.raises(EncoderError, match=r"config\.json can't be read as JSON"):
        load_encoder(str(folder))


def test_weights_that_are_missing_or_too_many_are_refused(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for kind, name, dropped in (
        ("clip", "model.safetensors", "visual_projection.weight"),
        ("siglip", "model.safetensors", "logit_bias"),
        ("open_clip", "open_clip_model.safetensors", "visual.trunk.norm.bias"),
        ("open_clip", "open_clip_model.safetensors", "visual.trunk.attn_pool.q.bias"),
    ):
        folder = shutil.copytree(tiny_checkpoints[kind], tmp_path / f"{kind}-{dropped}")
        weights = load_file(folder / name)
        given = weights.pop(dropped)
        save_file(weights, folder / name, metadata={"format": "pt"})
        last = dropped.removeprefix("visual.trunk.").removeprefix("norm.")
        with pytest.raises(EncoderError, match=rf"(?s)can't be loaded.*({last}|post_layernorm\.bias)"):
            load_encoder(str(folder))
        save_file({**weights, dropped: given, "more.weight": given.clone()}, folder / name, metadata={"format": "pt"})
        with pytest.raises(EncoderError, match=r"more\.weight"):
            load_encoder(str(folder))


def test_files_that_disagree_are_refused(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoints["clip"], tmp_path / "shapes")
    edit(folder, "config.json", projection_dim=13)
    with pytest.raises(EncoderError, match="can't be loaded as a checkpoint"):
        load_encoder(str(folder))
    folder = shutil.copytree(tiny_checkpoints["clip"], tmp_path / "sizes")
    edit(folder, "preprocessor_config.json", crop_size={"height": 24, "width": 24})
    with pytest.raises(EncoderError, match="makes photos of 24 x 24, its model takes 32"):
        load_encoder(str(folder))
    edit(folder, "preprocessor_config.json", image_processor_type="Siglip2ImageProcessor")
    with pytest.raises(EncoderError, match="image processor is 'Siglip2ImageProcessor', accepted are CLIP"):
        load_encoder(str(folder))
    folder = shutil.copytree(tiny_checkpoints["clip"], tmp_path / "words")
    vocabulary = {token: place for place, token in enumerate([*LETTERS, *"0123456789" * 9, "<|endoftext|>"])}
    more = {**json.loads((folder / "vocab.json").read_text()), **{f"x{n}": 56 + n for n in range(5)}, **{}}
    assert len(more) > len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(more))
    with pytest.raises(EncoderError, match="its tokenizer has 61 tokens, its model knows 56"):
        load_encoder(str(folder))


def test_code_of_a_checkpoint_is_never_run(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoints["clip"], tmp_path / "clip")
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass CLIPModel: ...\nclass CLIPConfig: ...\n")
    pointer = {"AutoConfig": "own.CLIPConfig", "AutoModel": "own.CLIPModel"}
    edit(folder, "config.json", auto_map=pointer)
    with pytest.raises(EncoderError, match="code of its own"):
        load_encoder(str(folder))
    load_encoder(str(tiny_checkpoints["open_clip"]))  # which has code that would end the process
    assert not ran.exists()


@pytest.mark.parametrize("name", ["no-such-encoder", "a/b/c"])
def test_an_encoder_that_is_not_there_says_what_is_accepted(name: str) -> None:
    with pytest.raises(EncoderError, match=f"(?s)no encoder '{name}'.*'edge'"):
        load_encoder(name)


class _Sent(torch.overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]
    """Keeps what is sent to a GPU on the CPU, and notes it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "to" and any(str(value).startswith("cuda") for value in args[1:]):
            self.sent += 1
            return args[0]
        return func(*args, **(kwargs or {}))


def test_the_towers_run_on_the_gpu(tiny_clip: Path, photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load_checkpoint(tiny_clip)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with _Sent() as mode:
        encoder = load_checkpoint(tiny_clip)
        assert mode.sent == len(list(encoder.model.parameters())) + len(list(encoder.model.buffers()))
        vectors = encoder.encode_images(photos * 50)
    assert mode.sent > 0
    assert encoder.photos_per_batch > expected.photos_per_batch
    np.testing.assert_allclose(vectors[: len(photos)], expected.encode_images(photos), atol=1e-6)
