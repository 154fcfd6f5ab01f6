"""``coordi catalogue complete`` killed without warning goes on where it was; its refusals name what to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COLOURS = ("black", "white", "navy blue", "red", "beige", "green", "pink", "grey")
THINGS = (("shirt", "top"), ("jeans", "bottom"), ("sneakers", "shoes"), ("tote bag", "bag"), ("blazer", "outerwear"))
ITEMS = len(COLOURS) * len(THINGS)
TRIES = 5


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coordi.cli.main", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of words: no photo has to be described."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [f"{c.split()[0]}-{t},{c} {t} of {kind}wear,{kind},{n}" for n, c in enumerate(COLOURS) for t, kind in THINGS]
    (folder / "items.csv").write_text("id,title,category,price\n" + "\n".join(rows) + "\n", encoding="utf-8")
    made = run("catalogue", "build", str(folder / "items.csv"), "--out", str(folder / "catalogue"))
    assert made.returncode == 0, made.stderr
    return folder / "catalogue"


def complete(catalogue: Path, out: Path, *more: str) -> list[str]:
    return [
        "catalogue",
        "complete",
        str(catalogue),
        "--all",
        "--quick",
        "--reasons",
        "--out",
        str(out),
        "--json",
        *more,
    ]


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after_a_line(arguments: list[str], gathered: Path) -> int:
    """Kill a batch once a line was gathered; how many were by then."""
    process = subprocess.Popen([sys.executable, "-m", "coordi.cli.main", *arguments],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while process.poll() is None and lines_of(gathered) < 1:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    return lines_of(gathered)


def test_killed_it_goes_on_and_ends_with_the_same_bytes(catalogue: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.jsonl", tmp_path / "looks.jsonl"
    undisturbed = run(*complete(catalogue, whole))
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert json.loads(undisturbed.stdout) == {"out": str(whole), "lines": ITEMS, "known": 0, "nothing": 0}

    gathered = tmp_path / "looks.jsonl.work" / "lines.jsonl"
    for _ in range(TRIES):
        known = kill_after_a_line(complete(catalogue, out), gathered)
        if 1 <= known < ITEMS and not out.exists():
            break
        # On a busy machine the batch may be over before the kill comes: begin it again.
        shutil.rmtree(gathered.parent, ignore_errors=True)
        for path in tmp_path.glob("looks.jsonl*"):
            path.unlink()
    assert 1 <= known < ITEMS
    assert not out.exists()
    with gathered.open("ab") as file:  # half a line, as a kill in a write leaves it
        file.write(b'{"id": "bl')

    other = run(*complete(catalogue, out, "-k", "2"))
    assert other.returncode == 1
    assert "part of another batch: k changed since" in other.stderr
    resumed = run(*complete(catalogue, out))
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["known"] == known
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "looks.jsonl", "looks.jsonl.manifest.json", "whole.jsonl", "whole.jsonl.manifest.json",
    ]  # fmt: skip

    again = run(*complete(catalogue, out))
    assert again.returncode == 1
    assert f"{out} is there already" in again.stderr


def test_lines_follow_the_rules_and_say_when_nothing_fits(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "looks.jsonl"
    done = run(*complete(catalogue, out, "--want", "shoes", "--max-price", "1", "-k", "3"))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines[:2]] == ["black-shirt", "black-jeans"]
    for line in lines:
        if "sneakers" in line["id"]:
            assert (line["suggestions"], line["nothing"][:26]) == ([], "nothing fits: no shoes: th")
        else:
            assert {one["id"] for one in line["suggestions"]} == {"black-sneakers", "white-sneakers"}
            assert all(one["reason"] for one in line["suggestions"])
    assert {line["judge"] for line in lines} == {"without-language-model"}


def test_a_pinned_item_that_clashes_with_some_ends_no_batch(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "looks.jsonl"
    done = run(*complete(catalogue, out, "--pin", "black-sneakers", "-k", "1"))
    assert done.returncode == 0, done.stderr
    lines = {one["id"]: one for one in map(json.loads, out.read_text(encoding="utf-8").splitlines())}
    assert len(lines) == ITEMS
    assert "can't be pinned: the outfit already has shoes" in lines["red-sneakers"]["nothing"]
    assert lines["red-shirt"]["suggestions"][0] == {**lines["red-shirt"]["suggestions"][0], "is_pinned": True}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{catalogue}", "--out", "x.jsonl"], "give the ids of the items to complete, or --all"),
        (["{catalogue}", "black-shirt", "--all", "--out", "x.jsonl"], "give the ids of the items to complete"),
        (["{catalogue}", "black-short", "--quick", "--out", "x.jsonl"], "no item 'black-short': accepted are the ids"),
        (["{catalogue}", "--all", "--out", "x.csv"], "must end in .jsonl"),
        (["nowhere", "--all", "--out", "x.jsonl"], "coordi catalogue build SOURCE --out nowhere"),
        (
            ["{catalogue}", "--all", "--out", "x.jsonl", "--want", "hats"],
            "no category 'hats', but 'headwear' has such things: accepted are top",
        ),
        (["{catalogue}", "--all", "--out", "x.jsonl", "--gender", "ladies"], "no gender 'ladies': accepted are women"),
        (
            ["{catalogue}", "--all", "--out", "x.jsonl", "--min-price", "9", "--max-price", "1"],
            "price_min 9 is above price_max 1",
        ),
        (["{catalogue}", "--all", "--quick", "--out", "{tmp}/y.jsonl", "--colour", "blurple"], "no colour 'blurple'"),
        (["{catalogue}", "--all", "--quick", "--out", "{tmp}/y.jsonl", "--pin", "zz"], "no item 'zz'"),
    ],
)
def test_refusals(catalogue: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    told = run("catalogue", "complete", *(one.format(catalogue=catalogue, tmp=tmp_path) for one in arguments))
    assert told.returncode == 1
    assert said in " ".join(told.stderr.split())
    assert "Traceback" not in told.stderr
