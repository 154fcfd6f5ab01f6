"""Fetches the page's libraries from the npm registry: `python dev/renew_vendored.py` with npm on the path.

A newer version is taken by changing its number here, running this and the page's tests, and reading the difference.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Package:
    """What is taken from a package.

    Attributes:
        name: In the registry.
        version: Exactly this one.
        files: Name here by path in the package.
        rewritten: Text that replaces a text, in every file: a browser has no use for an import by a package's name.
        folder: Where it goes, of the folder of vendored files.
    """

    name: str
    version: str
    files: dict[str, str]
    rewritten: tuple[tuple[str, str], ...] = ()
    folder: str = "src/coordi/web/vendor"


_PACKAGES = (
    Package("preact", "11.2.0", {"dist/preact.mjs": "preact.js"}),
    Package("preact", "11.2.0", {"hooks/dist/hooks.mjs": "hooks.js"}, (('from"preact"', 'from"./preact.js"'),)),
    Package("htm", "3.1.1", {"dist/htm.mjs": "htm.js"}),
    Package("fflate", "0.8.3", {"esm/browser.js": "fflate.js"}),
    Package("idb-keyval", "6.3.0", {"dist/index.js": "idb-keyval.js"}),
    Package("@noble/hashes", "2.4.0", {f"{name}.js": f"{name}.js" for name in ("sha2", "_md", "_u64", "utils")}),
    Package("axe-core", "4.14.1", {"axe.min.js": "axe.min.js"}, folder="tests/page/vendor"),
)


def renew() -> None:
    """Writes every file, each package's licence and one ``vendor.json`` for each folder."""
    entries: dict[str, list[dict[str, str]]] = {}
    for package in _PACKAGES:
        entries.setdefault(package.folder, []).extend(_take(package))
    for folder, files in entries.items():
        one_each = sorted({entry["file"]: entry for entry in files}.values(), key=lambda entry: entry["file"])
        (_ROOT / folder / "vendor.json").write_text(json.dumps(one_each, indent=2) + "\n", encoding="utf-8")


def _take(package: Package) -> list[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        packed = subprocess.run(
            ["npm", "pack", "--silent", wanted], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        with tarfile.open(Path(folder) / packed) as archive:
            archive.extractall(folder, filter="data")
        unpacked = Path(folder) / "package"
        licence = str(json.loads((unpacked / "package.json").read_text(encoding="utf-8"))["license"])
        texts = {to: _rewrite(unpacked / path, package) for path, to in package.files.items()}
        (terms,) = unpacked.glob("LICEN[CS]E")
        texts[f"LICENSE-{package.name.lstrip('@').replace('/', '-')}.txt"] = terms.read_text(encoding="utf-8")
    return [_write(package, name, text, licence) for name, text in texts.items()]


def _rewrite(path: Path, package: Package) -> str:
    text = path.read_text(encoding="utf-8")
    for old, new in package.rewritten:
        if old not in text:
            raise ValueError(f"{package.name} {package.version}: {path.name} has no '{old}' any more; read it again")
        text = text.replace(old, new)
    # The map isn't vendored, and a browser's tools would ask for it.
    kept = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    return "\n".join(kept).rstrip() + "\n"


def _write(package: Package, name: str, text: str, licence: str) -> dict[str, str]:
    path = _ROOT / package.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": name, "name": package.name, "version": package.version, "licence": licence, "sha256": sha256}


if __name__ == "__main__":
    renew()
