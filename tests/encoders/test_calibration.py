from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from coordi.encoders.edge import Calibration, EdgeEncoder, word_key
from coordi.errors import EncoderError


def test_a_column_that_says_nothing_of_what_was_seen_has_no_bonus() -> None:
    calibration = Calibration(trained={"kind": frozenset({"shirts"})}, bonus={"kind": 0.2, "colour": 0.2})
    np.testing.assert_allclose(calibration.bonuses("kind", ["shirts", "kimono"]), [0, 0.2], atol=1e-7)
    np.testing.assert_array_equal(calibration.bonuses("colour", ["red"]), [0])
    np.testing.assert_array_equal(Calibration().bonuses("kind", ["red"]), [0])


@pytest.mark.parametrize(
    "forms",
    [
        ("Kurta", "kurtas", "KURTAS"), ("Tshirts", "t-shirt", "T shirt"), ("Watches", "watch"), ("dress", "Dresses"),
        ("body mist", "Body Mists"), ("accessory", "Accessories"), ("tie", "ties"), ("shoes", "shoe"),
        ("sweat-shirts", "sweatshirt"), ("hoodie", "Hoodies"), ("Beanies", "beanie"),
    ],
)  # fmt: skip
def test_a_seen_label_is_known_however_it_is_spelt(forms: tuple[str, ...]) -> None:
    calibration = Calibration(trained={"kind": frozenset(forms[1:])}, bonus={"kind": 0.2})
    assert calibration.bonuses("kind", forms).tolist() == [0.0] * len(forms)


def test_different_words_stay_different() -> None:
    words = ("dress", "dresser", "tie", "tee", "short", "shirt", "cap", "cape", "kurta", "kurti", "sports sandal")
    assert len({word_key(word) for word in words}) == len(words)


def test_a_manifest_without_calibration_applies_none_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    with resources.as_file(resources.files("coordi.encoders.weights")) as folder:
        copied = shutil.copytree(folder, tmp_path / "weights")
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest["calibration"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert EdgeEncoder.from_folder(copied).calibration == Calibration()
    wrong: list[object] = [[], {"bonus": {"articleType": "much"}}, {"temperatures": {"gender": 0}}]
    for broken in wrong:
        (copied / "manifest.json").write_text(json.dumps({**manifest, "calibration": broken}))
        with pytest.raises(EncoderError, match=r"calibration in .*manifest\.json"):
            EdgeEncoder.from_folder(copied)
