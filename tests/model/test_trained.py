"""Scorers of the bundled model: shared by threads, adapted to a catalogue, sane on photos and long titles."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.artifacts import read_json, write_json
from coordi.config import DescribeSettings, PromptSettings, RunSettings, load_settings
from coordi.data.categories import category_of
from coordi.encoders.base import load_encoder, load_settled_encoder
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ConfigError, EncoderError, ModelError
from coordi.model.base import resolve_base
from coordi.model.engines import Loaded, PeftEngine
from coordi.model.ensemble import text_encoder
from coordi.model.features import group_sums
from coordi.model.scoring import BaseModelScorer, CachedScorer, load_answers, prompt_key
from coordi.model.trained import BUNDLED, SETTINGS, ModelScorers, find_model, portable
from coordi.model.training import finetune
from coordi.recommend.items import describe_items
from coordi.style.lexicon import default_lexicon
from coordi.types import Description, GarmentCategory, Item, Label

from ..encoders.conftest import tiny_clip as tiny_clip
from .conftest import epoch, items_of, write_llama

ITEMS: tuple[tuple[str, GarmentCategory], ...] = (
    ("navy wool blazer", "outerwear"),
    ("white cotton shirt", "top"),
    ("blue skinny jeans", "bottom"),
    ("black leather ankle boots", "shoes"),
    ("neon rubber clogs", "shoes"),
    ("brown leather tote", "bag"),
)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    created = [Item(f"i{index}", title, category) for index, (title, category) in enumerate(ITEMS)]
    prompt: PromptSettings = find_model("bundled").settings.prompt
    return describe_items(created, {}, {}, prompt, load_vocabulary("fashion"), text_encoder())


@pytest.fixture(scope="module")
def scorers() -> ModelScorers:
    return ModelScorers(find_model("bundled"))


@pytest.mark.slow
def test_the_same_items_under_other_ids_have_the_same_scores(items: list[Item], scorers: ModelScorers) -> None:
    outfits = [items[:3], items[1:4], [items[0], items[4]], [items[5], items[3], items[1], items[2]]]
    renamed = [[replace(item, id=f"other-{n}") for n, item in enumerate(outfit)] for outfit in outfits]
    np.testing.assert_array_equal(scorers.model.score(renamed), scorers.model.score(outfits))
    quick = scorers.quick.score(outfits)
    assert np.abs(quick - scorers.model.score(outfits)).max() > 0.01
    assert ((quick > 0) & (quick < 1)).all()
    assert scorers.model.score([]).shape == (0,)


def test_scores_of_an_ensemble_are_explained_without_its_language_model(scorers: ModelScorers) -> None:
    assert scorers.explaining is scorers.quick
    alone = ModelScorers(find_model("base"))  # no ensemble of its own
    assert alone.explaining is alone.model


@pytest.mark.slow
def test_several_threads_get_their_own_answers(items: list[Item], scorers: ModelScorers) -> None:
    outfits = [[value, other] for value in items for other in items if value is not other]
    expected = scorers.quick.score(outfits)
    with ThreadPoolExecutor(8) as pool:
        quick = list(pool.map(lambda value: scorers.quick.score([value])[0], outfits))
        served = list(pool.map(lambda value: scorers.model.score([value])[0], outfits[:12]))
    np.testing.assert_array_equal(quick, expected)
    np.testing.assert_allclose(served, scorers.model.score(outfits[:12]), atol=1e-9)


@pytest.mark.parametrize("title", ["0" * 300, "여성 오버핏 울 블렌드 롱 코트 네이비 신상"])
def test_titles_of_many_tokens_leave_the_candidate_to_be_judged(scorers: ModelScorers, title: str) -> None:
    """Beside a shop's long numbers, or in a script that the tokenizer hardly knows."""
    categories: tuple[GarmentCategory, ...] = ("outerwear", "top", "bottom", "bag")
    outfit = [Item(category, "", category, text=f"{category}: {title}") for category in categories]
    boots, sandals = (
        Item(text, "", "shoes", text=f"shoes: {text}") for text in ("black leather ankle boots", "pink flip flops")
    )
    value, other = scorers.language_model.score([[*outfit, boots], [*outfit, sandals]])
    assert value != other


def photo_only(rng: np.random.Generator, count: int) -> list[Item]:
    """Items of photos alone: a kind, a colour and a pattern, drawn."""
    vocabulary = load_vocabulary("fashion")
    kinds = [entry for entry in vocabulary.attributes["category"].labels if entry.category is not None]
    created, calls = [], {}
    for number in range(count):
        kind = kinds[int(rng.integers(len(kinds)))]
        assert kind.category is not None
        labels = {"category": (Label(kind.text, 0.9),)}
        for name in ("colour", "pattern"):
            entries = vocabulary.attributes[name].labels
            labels[name] = (Label(entries[int(rng.integers(len(entries)))].text, 0.9),)
        created.append(Item(f"p{number}", "", kind.category))
        calls[f"p{number}"] = Description(f"p{number}", labels)
    return describe_items(created, calls, {}, find_model("bundled").settings.prompt, vocabulary, text_encoder())


@pytest.mark.slow
def test_random_photos_are_no_outfit_however_many_they_are(scorers: ModelScorers) -> None:
    """Labels and brackets that all descriptions share once made every outfit of four photos score above 0.99."""
    rng = np.random.default_rng(5)
    items = photo_only(rng, 200)
    for size in (2, 4, 6):
        outfits = [[items[int(index)] for index in rng.permutation(len(items))[:size]] for _ in range(100)]
        quick = scorers.quick.score(outfits)
        assert 0.02 < np.median(quick) < 0.85
        assert 0.02 < np.median(scorers.model.score(outfits[:12])) < 0.85


def test_a_catalogues_own_words_are_usual_in_it(scorers: ModelScorers) -> None:
    """A shop that writes the same words into every title doesn't make its things go together by that."""
    prompt = find_model("bundled").settings.prompt
    words = ("summer collection", "blazer", "shirt", "jeans", "boots", "tote")
    kinds: tuple[GarmentCategory, ...] = ("outerwear", "top", "bottom", "shoes", "bag")
    created = [
        Item(f"{kind}{n}", f"Kimmy Studio summer essentials {colour} {word}", kind)
        for kind, word in zip(kinds, words[1:], strict=True)
        for n, colour in enumerate(("red", "black", "green", "ivory", "navy", "pink", "grey", "tan"))
    ]
    shelf = describe_items(created, {}, {}, prompt, load_vocabulary("fashion"), text_encoder())
    outfits = [[shelf[0], shelf[9], shelf[18], shelf[27]]]
    adapted = scorers.for_catalogue(group_sums(shelf))
    similarity = [part.quick.features(outfits)["sentence-cosine"][0] for part in (scorers, adapted)]
    assert similarity[0] > 1.0 > 0.5 > similarity[1]


TUXEDO = ("men's black tuxedo trousers with satin side stripe", "white pleated-front dress shirt", "black silk bow tie")
SUIT = ("men's charcoal wool suit jacket", "men's charcoal wool suit trousers", "white cotton dress shirt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outfit", "better", "worse"),
    [
        (TUXEDO, "black patent lace-up oxfords", "chunky white trainers"),
        (SUIT, "black leather oxford shoes", "blue rubber flip-flops"),
        (("grey jogging bottoms", "oversized fleece hoodie"), "white running trainers", "black patent lace-up oxfords"),
    ],
)
def test_shoes_have_the_dress_code_of_the_outfit(
    scorers: ModelScorers, outfit: tuple[str, ...], better: str, worse: str
) -> None:
    prompt = find_model("bundled").settings.prompt
    categories = [default_lexicon().find(title) for title in (*outfit, better, worse)]
    created = [
        Item(title, title, None if kind is None else kind.category)
        for title, kind in zip((*outfit, better, worse), categories, strict=True)
    ]
    *items, fitting, other = describe_items(created, {}, {}, prompt, load_vocabulary("fashion"), text_encoder())
    for scorer in (scorers.quick, scorers.model):
        scores = scorer.score([(*items, fitting), (*items, other)])
        value, lower = np.log(scores / (1 - scores))
        assert value > lower + 0.5


def test_a_search_along_the_direction_orders_as_the_score_without_the_language_model(
    items: list[Item], scorers: ModelScorers
) -> None:
    """Within a category, titles sharing no word with the outfit: only likeness is left to differ."""
    prompt = find_model("bundled").settings.prompt
    titles = ("green suede loafers", "silver party heels", "canvas espadrilles", "hiking footwear", "satin mules")
    shoes = describe_items(
        [Item(title, title, "shoes") for title in titles], {}, {}, prompt, load_vocabulary("fashion"), text_encoder()
    )
    outfit = items[:3]
    scores = scorers.quick.score([(*outfit, value) for value in shoes])
    along = np.array([float(value.text_embedding @ scorers.directions(outfit)["text"]) for value in shoes])
    assert (
        np.corrcoef(np.argsort(np.argsort(scores)), np.argsort(np.argsort(along)))[0, 1] >= 0.9 - 1e-9
    )  # the sum rounds


@pytest.fixture(scope="module")
def made_elsewhere(tmp_path_factory: pytest.TempPathFactory, tiny_settings: RunSettings) -> Path:
    """An adapter whose settings name an engine and a folder that this machine doesn't have."""
    folder = tmp_path_factory.mktemp("elsewhere")
    short = tiny_settings.finetune.model_copy(update={"max_steps": 1, "evaluations": 1})
    adapter = finetune(epoch, epoch(99), tiny_settings.model_copy(update={"finetune": short}), folder).adapter
    model = tiny_settings.model.model_copy(update={"engine": "unsloth", "base": "/nowhere/llama", "arithmetic": "auto"})
    settings = tiny_settings.model_copy(update={"finetune": short, "model": model})
    write_json(adapter / SETTINGS, settings.model_dump(mode="json"))
    return adapter


@pytest.mark.slow
def test_an_adapter_is_used_on_a_machine_without_a_gpu_where_the_base_lies_elsewhere(
    made_elsewhere: Path, tiny_folder: Path
) -> None:
    assert find_model(str(made_elsewhere)).settings.model.engine == "auto"
    overrides = [f"model.base={tiny_folder}", "model.engine=peft", "model.arithmetic=float32", "model.batch_tokens=64"]
    model = find_model(str(made_elsewhere), [*overrides, "model.allow_download=false"])
    scores = model.load_scorer().score([items_of("red skirt", "navy boots")])
    assert 0 < scores[0] < 1
    config = read_json(made_elsewhere / "adapter_config.json")
    assert config["base_model_name_or_path"] == tiny_folder.name  # no path of the machine that made it


@pytest.mark.slow
def test_the_base_is_checked_by_its_hash(made_elsewhere: Path, tmp_path: Path) -> None:
    write_llama(tmp_path, seed=1)
    model = find_model(str(made_elsewhere), [f"model.base={tmp_path}", "model.engine=peft"])
    with pytest.raises(ModelError, match=r"was trained on the base .* not on .*fine-tune again"):
        model.load_scorer()


def test_an_adapter_cannot_allow_its_own_downloads(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path, dirs_exist_ok=True)
    settings = read_json(tmp_path / SETTINGS)
    for group in ("data", "describe", "model"):
        settings[group]["allow_download"] = True
    write_json(tmp_path / SETTINGS, settings)
    read = find_model(str(tmp_path)).settings
    assert not any(getattr(read, group).allow_download for group in ("data", "describe", "model"))
    assert find_model(str(tmp_path), ["model.allow_download=true"]).settings.model.allow_download  # the user's own word


def test_an_encoder_that_lies_elsewhere_is_checked_by_its_hash(
    tiny_clip: Path, tmp_path: Path, made_elsewhere: Path
) -> None:
    adapter, identity = shutil.copytree(made_elsewhere, tmp_path / "adapter"), load_encoder(str(tiny_clip)).identity
    describe = DescribeSettings(encoder="/nowhere/clip")
    settings = RunSettings.model_validate(read_json(adapter / SETTINGS)).model_copy(update={"describe": describe})
    write_json(adapter / SETTINGS, portable(settings, identity).model_dump(mode="json"))
    override = [f"describe.encoder={tiny_clip}"]
    assert load_settled_encoder(find_model(str(adapter), override).settings.describe).identity == identity
    with pytest.raises(EncoderError, match=r"no encoder '/nowhere/clip': .* hash is .* describe\.encoder=FOLDER"):
        load_settled_encoder(find_model(str(adapter)).settings.describe)
    other = shutil.copytree(tiny_clip, tmp_path / "other")
    processor = read_json(other / "preprocessor_config.json")
    write_json(other / "preprocessor_config.json", {**processor, "do_rescale": False})
    with pytest.raises(EncoderError, match=r"other' \(.*isn't the encoder that this model was trained with"):
        load_settled_encoder(find_model(str(adapter), [f"describe.encoder={other}"]).settings.describe)
    with pytest.raises(ConfigError, match=r"'describe\.identity=null' can't be set"):
        find_model(str(adapter), ["describe.identity=null"])
    write_json(adapter / SETTINGS, settings.model_dump(mode="json"))  # as an earlier version wrote it
    with pytest.raises(ModelError, match=r"trained with '/nowhere/clip', whose hash its settings don't have"):
        find_model(str(adapter), override)
    with pytest.raises(ModelError, match=r"trained with 'edge', which is bundled; leave it out"):
        find_model("bundled", override)


def test_what_was_trained_cannot_be_set(made_elsewhere: Path) -> None:
    with pytest.raises(ConfigError, match=r"'model\.quantization=none' can't be set.*accepted are seed, model\.base, "):
        find_model(str(made_elsewhere), ["model.quantization=none"])


@pytest.mark.slow
def test_the_base_model_shares_the_weights_of_a_model_whose_adapter_is_not_merged(
    made_elsewhere: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where two copies of an 8B model may not fit."""
    overrides = [f"model.base={tiny_folder}", "model.engine=peft", "model.arithmetic=float32"]
    outfits = [items_of("red skirt", "navy boots"), items_of("pink skirt", "navy boots", "green coat")]
    monkeypatch.setattr("coordi.model.engines.UNPACK_UP_TO", 0)  # as for a large model
    settings = find_model(str(made_elsewhere), overrides).settings
    alone = BaseModelScorer(lambda: load_answers(resolve_base(settings.model), None, settings))
    expected, states = alone.score(outfits), alone.states(outfits)
    scorers = ModelScorers(find_model(str(made_elsewhere), overrides))
    loads: list[int] = []
    load = PeftEngine.for_scoring

    def counted(*given: Any) -> Loaded:
        loads.append(1)
        return load(*given)

    monkeypatch.setattr(PeftEngine, "for_scoring", counted)
    tuned, base = scorers.language_model.score(outfits), scorers.base_scorer()
    np.testing.assert_allclose(base.score(outfits), expected, atol=1e-6)
    np.testing.assert_allclose(base.states(outfits), states, atol=1e-6)
    assert not np.allclose(tuned, base.score(outfits), atol=1e-4)
    assert len(loads) == 1


def test_a_pooled_head_cannot_write_and_says_what_to_do() -> None:
    model = find_model("bundled")
    assert (model.can_write, model.names_items) == (False, False)
    with pytest.raises(ModelError, match=r"has a pooled head.*leave out --generate.*finetune\.head=answer"):
        ModelScorers(model).write([])
    assert find_model("base").can_write
    assert not find_model("base").names_items


def test_scores_are_cached_by_what_is_recommended_too() -> None:
    """The photos of two outfits with the same words may differ, and with them what is recommended."""
    settings = load_settings(
        "edge", ["finetune.head=answer", "finetune.last_layer=null", "prompt.recommended=1"]
    )  # fmt: skip
    encoder = text_encoder()

    def outfit(words: str) -> list[Item]:
        look = encoder.encode_texts([words])[0]
        return [Item(n, n, "shoes", text=n, photo_embedding=look) for n in ("boots", "more boots")]

    outfits = [outfit("formal black oxford shoes"), outfit("rubber flip flops at the beach")]
    scorer = _Counting()
    cached = CachedScorer("x", scorer, key=prompt_key(settings))
    assert cached.score([*outfits, outfits[0]]).tolist() == [0.0, 1.0, 0.0]
    assert scorer.count == 2
    assert CachedScorer("x", _Counting()).score(outfits).tolist() == [0.0, 0.0]  # by their words alone


def test_nothing_is_written_while_the_language_model_scores(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done = Event(), Event()

    def score(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        begun.set()
        assert done.wait(10)
        return np.zeros(len(outfits))

    other = ModelScorers(find_model("base"))
    writer: Any = SimpleNamespace(write=lambda requests, progress: [done.is_set()])
    monkeypatch.setattr(other._lazy, "score", score)
    monkeypatch.setattr(other, "_writer", lambda: writer)
    with ThreadPoolExecutor() as pool:
        scored = pool.submit(other.language_model.score, [items[:2]])
        assert begun.wait(10)
        written: Future[Any] = pool.submit(other.write, [])
        with pytest.raises(TimeoutError, match=r"^$"):
            written.result(timeout=0.2)
        done.set()
        assert written.result(timeout=10) == [True]
        assert scored.result().tolist() == [0.0]


class _Counting:
    """Scores outfits by how many it scored before."""

    name = "x"
    gives_probabilities = False

    def __init__(self) -> None:
        self.count = 0

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self.count += len(outfits)
        return np.arange(len(outfits), dtype=np.float64)


def test_words_of_other_languages_score_as_their_english_twins(scorers: ModelScorers) -> None:
    prompt = find_model("bundled").settings.prompt
    pairs = [
        ("네이비 울 블레이저", "navy blue wool blazer"), ("weiße Ledersneaker", "white leather sneakers"),
        ("Jupe noire à carreaux", "black checked skirt"),
    ]  # fmt: skip
    outfits = []
    for titles in zip(*pairs, strict=True):
        created = [Item(title, title, category_of(title), is_users=True) for title in titles]
        outfits.append(describe_items(created, {}, {}, prompt, load_vocabulary("fashion"), text_encoder()))
    own, english = outfits
    assert [item.title for item in own] == [title for title, _ in pairs]
    assert [item.text for item in own] == [item.text for item in english]
    assert [item.facts for item in own] == [item.facts for item in english]
    scores = scorers.quick.score([own, english])
    assert scores[0] == scores[1]
