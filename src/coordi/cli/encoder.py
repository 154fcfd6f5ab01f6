"""``coordi encoder``: how well an image encoder finds hand-made labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coordi.cli import encoder_export
from coordi.cli.console import echo_json, note, progress_bar


def register(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Measure image encoders.")
    nouns.callback()(_nothing)
    nouns.command("evaluate")(evaluate)
    nouns.command("export")(encoder_export.export)
    app.add_typer(nouns, name="encoder")


def _nothing() -> None:
    """Measure image encoders."""


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="A folder with styles.csv and images/<id>.jpg.")],
    encoder: Annotated[str, typer.Option("--encoder", help="'edge' or the folder of a CLIP checkpoint.")] = "edge",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only the photos that the edge encoder's training never saw, by id.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap behind the intervals.")] = 17,
    as_json: Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")] = False,
) -> None:
    """Label photos by zero-shot and compare with their hand-made labels.

    Example: coordi encoder evaluate --data fashion-products --held-out --json
    """
    from coordi.describe.encoder import load_encoder
    from coordi.describe.labelled_photos import evaluate_encoder, held_out_photos, label_lists, read_labelled

    photos = read_labelled(data)
    lists = label_lists(photos)
    if held_out:
        photos = held_out_photos(photos)
    loaded = load_encoder(encoder)
    with progress_bar("encoding photos") as progress:
        report = evaluate_encoder(photos, loaded, lists, seed, progress)
    if report.unreadable:
        note(f"{report.unreadable} of {len(photos)} photos can't be opened and were left out")
    if as_json:
        echo_json({"attributes": report.attributes, "photos_per_second": report.photos_per_second})
        return
    typer.echo(f"{'attribute':<16}{'n':>7}{'classes':>9}{'accuracy':>10}{'weighted F1 [95%]':>25}{'ECE':>8}")
    for name, found in report.attributes.items():
        low, high = found["ci95"]["weighted_f1"]
        f1 = f"{found['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"
        typer.echo(
            f"{name:<16}{found['n']:>7}{found['classes']:>9}{found['accuracy']:>10.3f}{f1:>25}{found['ece']:>8.3f}"
        )
    typer.echo(f"{report.photos_per_second:.1f} photos per second")
