"""``coordi encoder``: how well an image encoder finds hand-made labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordi.cli import encoder_export
from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.work import DownloadOption, EncoderOption, JsonOption, RevisionOption

if TYPE_CHECKING:
    from coordi.describe.encoder_evaluation import EncoderReport


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
    encoder: EncoderOption = "edge",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only the photos that the edge encoder's training never saw, by id.")
    ] = False,
    min_photos: Annotated[
        int,
        typer.Option("--min-photos", min=1, help="Rows of common labels are of labels with so many photos."),
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap behind the intervals.")] = 17,
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label photos by zero-shot and compare with their hand-made labels.

    With --held-out, labels that the encoder's training saw no photo of at all are measured on all of their photos, and
    photos are also measured apart whose title no trained photo has. Photos that were seen before are known by their
    content, from vectors (never photos) kept in coordi's cache folder.

    Example: coordi encoder evaluate --data fashion-products --held-out --json
    """
    from coordi.describe.encoder import load_encoder
    from coordi.describe.encoder_evaluation import Question, evaluate_encoder, with_withheld_labels
    from coordi.describe.labelled_photos import (
        held_out_photos,
        label_lists,
        left_out,
        may_be_trained_on,
        read_labelled,
        with_new_titles,
    )
    from coordi.describe.vector_cache import VectorCache

    every = read_labelled(data)
    without = left_out(data, every)
    if without.rows or without.photos:
        note(f"{without.rows} rows have no photo and {without.photos} photos no row; they were left out")
    photos = held_out_photos(every) if held_out else every
    loaded = load_encoder(encoder, allow_download, revision)
    trained = 0 if held_out or encoder != "edge" else sum(map(may_be_trained_on, every))
    if trained:
        note(f"{trained} of {len(every)} photos may have been trained on, by their ids; --held-out leaves them out")
    new = with_new_titles(photos, every) if held_out else frozenset()
    question = Question(label_lists(every), min_photos, with_withheld_labels(every, loaded, photos), new, seed)
    with VectorCache.of(loaded) as cache, progress_bar("encoding photos") as progress:
        report = evaluate_encoder(photos, loaded, question, progress, cache)
    if report.unreadable:
        note(f"{report.unreadable} photos can't be opened and were left out")
    if as_json:
        echo_json(
            {
                "attributes": report.attributes,
                "unseen": report.unseen,
                "left_out": {"rows": without.rows, "photos": without.photos, "unreadable": report.unreadable},
                "may_be_trained_on": trained,
                "photos_per_second": report.photos_per_second,
                "encoded": report.encoded,
            }
        )
        return
    _show(report, min_photos)


def _show(report: EncoderReport, min_photos: int) -> None:
    heading = f"{'attribute':<30}{'n':>7}{'labels':>8}{'accuracy':>10}{'top 3':>8}{'weighted F1 [95%]':>25}{'ECE':>8}"
    typer.echo(heading)
    for name, found in report.attributes.items():
        rows = {name: found}
        if "common" in found and found["common"]["n"] < found["n"]:
            rows[f"  labels of {min_photos} photos or more"] = found["common"]
        for title, row in rows.items():
            low, high = row["ci95"]["weighted_f1"]
            f1 = f"{row['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"
            shares = f"{row['accuracy']:>10.3f}{row['top3']:>8.3f}"
            typer.echo(f"{title:<30}{row['n']:>7}{row['classes']:>8}{shares}{f1:>25}{row['ece']:>8.3f}")
    if report.unseen:
        typer.echo("\nWithheld from training; plain is without the constant that makes up for labels never seen.")
        typer.echo(f"{'label':<30}{'n':>7}{'top 1 [95%]':>25}{'top 3 [95%]':>25}{'plain top 1, 3':>18}")
    for row in report.unseen:
        cells = [f"{row[k]:.3f} [{row['ci95'][k][0]:.3f}, {row['ci95'][k][1]:.3f}]" for k in ("top1", "top3")]
        plain = f"{row['plain']['top1']:.3f}, {row['plain']['top3']:.3f}"
        typer.echo(f"{row['label']:<30}{row['n']:>7}{cells[0]:>25}{cells[1]:>25}{plain:>18}")
    typer.echo(
        f"{report.photos_per_second:.1f} photos per second ({report.encoded:,} seen now, the others known already)"
    )
