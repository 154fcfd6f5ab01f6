"""Draw the bundled sample again: ``src/coordi/data/sample.zip``, the same bytes with the same versions of libraries."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sample_drawing.writer import MARKER, make_sample

ZIP = Path(__file__).parents[1] / "src" / "coordi" / "data" / "sample.zip"
SEED = 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ZIP)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sample(folder, options.seed)
        pack(folder, options.out)


def pack(folder: Path, out: Path) -> None:
    """Write a drawn sample as a ZIP without times; the marker comes last, as a folder with one is complete."""
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.name == MARKER, str(path))
    )
    with ZipFile(out, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            archive.writestr(ZipInfo(str(path.relative_to(folder))), path.read_bytes(), ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main()
