"""Every Python and console snippet of README and docs is run, or at least parsed where it needs what a test hasn't."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from coordi.cli.main import build_app
from coordi.data.sample import write_sample

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The same commands on fewer outfits.
SMALL = {
    "data": ["data.train_outfits=16", "data.valid_outfits=8", "data.test_outfits=8"],
    "finetune": ["finetune.epochs=1", "finetune.max_steps=1", "finetune.evaluations=1"],
    "evaluate": [
        "evaluate.bootstrap=100", "evaluate.retrieval_pool=0", "evaluate.examples=1",
        "evaluate.baselines=none",
    ],
}  # fmt: skip
SHRUNK = {
    "run": SMALL["data"] + SMALL["finetune"] + SMALL["evaluate"],
    "finetune": SMALL["data"] + SMALL["finetune"],
    "evaluate": SMALL["data"] + SMALL["evaluate"],
}

# Commands that aren't run, only parsed, with the reason.
PARSED = {
    "serve": "it runs until it is stopped; tests/serve starts it",
    "mcp": "it answers until its input is closed; tests/serve/test_mcp.py asks it",
    "beach wedding": "the drawn shop has no look for one; tests/recommend/test_wishes.py has more clothes",
    "--preset paper": "it needs an 8B Llama",
    "model.base=path/to/model": "it needs an adapter and its base; tests/model/test_trained.py has both",
    "--preset qwen": "it needs a 7B model",
    "mine.yaml": "the file is shown in the docs only in part",
}
# Programs that aren't coordi's, with what tests them.
OTHERS = {
    "curl": "tests/serve",
    "python3": "the standard library",
    "cd": "",
    "mkdir": "",
    "docker": "tests/serve/test_container.py, as far as it goes without a container engine",
    "SCHEMATHESIS_HOOKS=fuzzing_hooks": "tests/serve",
    "torchrun": "tests/end_to_end/test_torchrun.py",
    "tensorboard": "its own",
}

# Files of docs/feeds.md, and what they are made of.
EXPORTS = {
    "shopify/products_export.csv": "shopify.csv", "woocommerce/wc-product-export.csv": "woocommerce.csv",
    "magento/export_catalog_product.csv": "magento.csv", "prestashop/products.csv": "prestashop.csv",
    "google/feed.xml": "google_rss.xml",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block of a page."""

    page: str
    language: str
    text: str


def snippets(page: Path) -> list[Snippet]:
    """A page's fenced blocks that have a language."""
    return [Snippet(page.name, language, text) for language, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """Command lines of a console block, without their prompts, comments and output."""
    text = snippet.text.replace("\\\n", " ").replace("$(date +%F)", "2026-11-30")
    for block in re.findall(r"^\$ (.*(?:\n(?!\$ ).*)*)", text, flags=re.MULTILINE):
        line, *further = block.splitlines()
        for more in further:  # a quoted text may go over several lines
            if line.count("'") % 2 == 0:
                break
            line += f"\n{more}"
        yield shlex.split(line, comments=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the docs name."""
    sample = tmp_path / "path" / "to" / "data"
    write_sample(sample)
    photos = sorted((sample / "images").glob("*.jpg"))
    (tmp_path / "path/to/photos").mkdir(parents=True)
    for number, name in enumerate(("jeans", "photo", "jacket", "path/to/photos/black bag", "path/to/photos/red dress")):
        shutil.copy(photos[number], tmp_path / f"{name}.jpg")
    for folder in (tmp_path, tmp_path / "shop"):
        shutil.copytree(sample / "images", folder / "images", dirs_exist_ok=True)
    for name in ("outfits", "polyvore", "polyvore-maryland"):
        (tmp_path / "path" / "to" / name).symlink_to(sample)
    rows = (sample / "items.csv").read_text(encoding="utf-8").splitlines()[:25]
    rows[1:3] = [re.sub("^[^,]+", name, row) for name, row in zip(("4711", "815"), rows[1:3], strict=True)]
    rows.append("sku-1,black leather boots,shoes,ankle boots,images/i0001.jpg,80.00")  # that a snippet looks for
    for name in ("shop.csv", "products.csv", "catalogue.csv", "shop/products.csv"):
        (tmp_path / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name, export in EXPORTS.items():
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / "tests" / "data" / "feeds" / export, tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "export.csv").write_text(
        "Ref;Label;Montant\n1;Robe rouge dress;1 299,00\n", encoding="cp1252"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["coordi"])
    return tmp_path


def run_coordi(arguments: list[str]) -> None:
    """Parse a command line of coordi, then run it unless that needs what a test hasn't."""
    command = typer.main.get_command(build_app())
    if any(reason in " ".join(arguments) for reason in PARSED):
        while isinstance(command, typer.core.TyperGroup):
            command = command.commands[arguments.pop(0)]
        command.make_context("coordi", arguments)
        return
    arguments = [*arguments, *SHRUNK.get(arguments[0], ())]
    for name in ("another-run", "measured-a", "measured-b"):
        if name in arguments and not Path(name).exists():
            shutil.copytree("measured", name)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        command.main(arguments, standalone_mode=False)
    assert output.getvalue()


def run_other(program: str, arguments: list[str]) -> None:
    """Check a command of another program as far as that can be done here."""
    if program == "make":
        subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]
        assert set(re.findall(r"\[(\w+)\]", " ".join(arguments))) <= set(extras)
    elif program == "python":
        line = [sys.executable, str(ROOT / arguments[0]), "--help"]
        environment = {**os.environ, "COLUMNS": "200"}
        text = subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout
        assert [option for option in arguments if option.startswith("--") and option not in text] == []
    elif program == "pre-commit":
        assert (ROOT / ".pre-commit-config.yaml").is_file()
    else:
        assert program in OTHERS, f"say in OTHERS what tests '{program}'"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_snippets_run(page: Path, home: Path) -> None:
    for snippet in snippets(page):
        if snippet.language == "console":
            for program, *arguments in commands(snippet):
                if Path(program).name == "coordi":
                    run_coordi(arguments)
                else:
                    run_other(program, arguments)
        elif snippet.language == "python":
            if not Path("catalogue").exists():
                run_coordi(["catalogue", "build", "shop.csv", "--out", "catalogue"])
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(snippet.text, f"{snippet.page}", "exec"), {})


def test_there_are_snippets() -> None:
    languages = [snippet.language for page in PAGES for snippet in snippets(page)]
    assert languages.count("python") >= 3
    assert languages.count("console") >= 10
