"""The notebooks in examples/ run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .end_to_end.test_paper_flow import SMALL
from .sample import write_small_sample

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} == {"score_and_complete", "measure_a_scorer", "paper_run"}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = at_toy_scale(tmp_path)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(output.output_type == "stream" and output.name == "stdout" for output in printed)
    if path.stem == "paper_run":
        text = "".join(output.text for output in printed if output.output_type == "stream")
        assert "### Instruction:\nName what would complete this outfit." in text
        assert (tmp_path / "paper" / "report.html").is_file()
        assert "$ coordi recommend" in text
        assert "; the model names '" in text.partition("$ coordi recommend")[2]


def at_toy_scale(folder: Path) -> str:
    """Values of the paper's notebook for the bundled model and a few drawn outfits."""
    write_small_sample(folder / "data", {"train": 8, "valid": 4, "test": 8})
    values = {"DATA": str(folder / "data"), "OUT": str(folder / "paper"), "INSTALL": False, "SETTINGS": SMALL}
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())
