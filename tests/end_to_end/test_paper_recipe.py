"""``coordi run --preset paper`` on a small Polyvore Outfits release in its true layout, from photos to the report.

The models are random and tiny, in the layouts of Llama and CLIP: what is tested is the way, not the figures.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ..commands import Command
from ..commands import coordi as coordi
from ..sample import write_small_sample

CATEGORY_IDS = {
    "top": "11", "bottom": "27", "dress": "4", "outerwear": "24", "shoes": "43", "bag": "318", "jewellery": "62",
    "headwear": "55", "eyewear": "57", "scarf": "105", "belt": "52", "watch": "61",
}  # fmt: skip


def write_release(folder: Path, sample: Path) -> None:
    """Lay a drawn wardrobe out as Polyvore Outfits is."""
    version, images = folder / "nondisjoint", folder / "images"
    version.mkdir(parents=True)
    images.mkdir()
    metadata: dict[str, Any] = {}
    with (sample / "items.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1000):
            item_id = str(number)
            metadata[row["id"]] = (item_id, {"title": row["title"], "category_id": CATEGORY_IDS[row["category"]]})
            shutil.copy(sample / row["image"], images / f"{item_id}.jpg")
    facts = dict(metadata.values())
    (folder / "polyvore_item_metadata.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "categories.csv").write_text(
        "".join(f"{number},{name},{name}\n" for name, number in CATEGORY_IDS.items()), encoding="utf-8"
    )
    outfits: dict[str, list[Any]] = {}
    for number, line in enumerate((sample / "outfits.jsonl").read_text(encoding="utf-8").splitlines(), start=1):
        outfit = json.loads(line)
        items = [
            {"item_id": metadata[name][0], "index": position} for position, name in enumerate(outfit["items"], start=1)
        ]
        outfits.setdefault(outfit["split"], []).append({"set_id": str(9000 + number), "items": items})
    for split, result in outfits.items():
        (version / f"{split}.json").write_text(json.dumps(result), encoding="utf-8")
    tests = outfits["test"]
    lines = []
    for entry, other in zip(tests, [*tests[1:], tests[0]], strict=True):
        lines.append("1 " + " ".join(f"{entry['set_id']}_{item['index']}" for item in entry["items"]))
        count = len(entry["items"])
        drawn = [f"{other['set_id']}_{item['index']}" for item in other["items"][: count - 1]]
        lines.append("0 " + " ".join([*drawn, f"{entry['set_id']}_{count}"]))
    (version / "compatibility_test.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_small_sample(folder / "sample", {"train": 24, "valid": 8, "test": 12})
    write_release(folder / "polyvore_outfits", folder / "sample")
    return folder / "polyvore_outfits"


def test_the_paper_is_one_command(
    coordi: Command, release: Path, tiny_folder: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    out, encoder = tmp_path / "paper", shutil.copytree(tiny_clip, tmp_path / "clip")
    arguments = [
        "run", "--data", str(release), "--out", str(out), "--preset", "paper",
        # What can't be had without a network and a GPU.
        f"model.base={tiny_folder}", "model.engine=peft", "prompt.max_length=512", f"describe.encoder={encoder}",
        # What a tiny model and a small set need less of.
        "finetune.max_steps=2", "finetune.batch_size=8", "evaluate.bootstrap=100",
        "evaluate.retrieval_pool=4",
    ]  # fmt: skip
    done = coordi(*arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["name"] == "paper"
    assert report["data"]["layout"] == "polyvore-outfits"
    assert not report["data"]["text_only"]
    assert {"train_outfits=2995", "valid_outfits=1000", "test_outfits=1145"} <= {
        word for row in report["data"]["funnel"] for word in row["reason"].replace(":", " ").split()
    }
    tasks = report["tasks"]
    assert set(tasks["compatibility"]) == {"random", "same-category", "one-swapped", "pairs", "release"}
    assert set(tasks["retrieval"]) == {"same-category"}
    baselines = set(tasks["compatibility"]["random"]["baselines"])
    assert {"base", "chance", "size", "order", "popularity", "category-pairs", "title-cosine"} <= baselines
    assert {"sentence-cosine", "encoder-similarity", "set-transformer", "frozen-probe"} <= baselines
    assert any("12 test outfits" in warning["text"] for warning in report["warnings"])
    settings = report["settings"]
    assert (settings["prompt"]["form"], settings["prompt"]["recommended"]) == ("instruction", 3)
    example = report["naming"]["examples"][0]
    assert "### Instruction:\nName what would complete this outfit." in example["prompt"]
    assert "\nRecommended: " in example["prompt"]
    _check_the_encoder_may_lie_elsewhere(coordi, out, encoder)


def _check_the_encoder_may_lie_elsewhere(coordi: Command, out: Path, encoder: Path) -> None:
    moved = encoder.rename(encoder.with_name("moved"))
    given = ["white silk blouse", "blue skinny jeans", "--model", str(out)]
    refused = coordi("score", *given)
    assert refused.returncode != 0
    assert "where its folder lies elsewhere on this machine, give describe.encoder=FOLDER" in refused.stderr
    elsewhere = ["--set", f"describe.encoder={moved}"]
    for answer in (
        coordi("score", *given, *elsewhere),
        coordi("recommend", *given, "--catalogue", str(out), *elsewhere),
    ):
        assert answer.returncode == 0, answer.stderr
