from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import pytest

from coordi.encoders.edge import Calibration, EdgeEncoder
from coordi.errors import EncoderError


def test_a_manifest_without_calibration_applies_none_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    with resources.as_file(resources.files("coordi.encoders.weights")) as folder:
        copied = shutil.copytree(folder, tmp_path / "weights")
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest["calibration"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert EdgeEncoder.from_folder(copied).calibration == Calibration()
    wrong: list[object] = [[], {"bonus": {"articleType": 0.2}}, {"temperatures": {"gender": 0}}]
    for broken in wrong:
        (copied / "manifest.json").write_text(json.dumps({**manifest, "calibration": broken}))
        with pytest.raises(EncoderError, match=r"calibration in .*manifest\.json"):
            EdgeEncoder.from_folder(copied)
