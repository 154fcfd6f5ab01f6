"""Photos as data URIs, and charts: lines at the right points, escaped, self-contained and the same each time."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from coordi.data.photos import photo_uri
from coordi.evaluation.plots import Axes, Line, draw


def opened(uri: str) -> Image.Image:
    assert uri.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_photo_is_made_small_and_keeps_its_shape(tmp_path: Path) -> None:
    Image.new("RGB", (640, 320), "navy").save(tmp_path / "wide.png")
    uri = photo_uri(tmp_path / "wide.png")
    assert uri is not None
    assert opened(uri).size == (160, 80)
    assert photo_uri(tmp_path / "wide.png") == uri


def test_transparent_becomes_white_and_metadata_goes(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    uri = photo_uri(tmp_path / "clear.png")
    assert uri is not None
    assert opened(uri).convert("RGB").getpixel((25, 25)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0110] = "secret camera"
    exif[0x0112] = 6  # stands upright when turned by 90 degrees
    Image.new("RGB", (100, 50), "navy").save(tmp_path / "turned.jpg", exif=exif, comment="secret place")
    turned = photo_uri(tmp_path / "turned.jpg")
    assert turned is not None
    assert opened(turned).size == (50, 100)
    assert b"secret" not in base64.b64decode(turned.partition(",")[2])


def test_what_is_no_photo_gives_none(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a photo")
    Image.new("RGB", (300, 300), "navy").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    # Small as a file, large once decoded; and a format that data sets have no photos in.
    Image.new("1", (10_000, 5_100)).save(tmp_path / "bomb.png")
    Image.new("RGB", (30, 30), "navy").save(tmp_path / "drawing.tiff")
    for name in ("text.jpg", "cut.jpg", "gone.jpg", "bomb.png", "drawing.tiff", "."):
        assert photo_uri(tmp_path / name) is None


UNIT = Axes("A title", "x", "y", unit=True, chance=((0, 0), (1, 1)))


def paths_of(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """Points of the lines of a colour."""
    found = re.findall(r'<path d="([^"]*)" style="fill: none; [^"]*stroke: ' + re.escape(colour), svg)
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)] for path in found]


def test_lines_go_through_their_points() -> None:
    svg = draw([Line([(0, 0), (0.5, 1), (1, 1)], 0)], UNIT)
    ((first, middle, last),) = paths_of(svg, "var(--c0)")
    start, end = next(path for path in paths_of(svg, "var(--stitch)") if path[0][0] != path[1][0])
    assert (first, (last[0], first[1])) == (start, (end[0], start[1]))
    assert last == end
    # The middle point is halfway between, and y grows downwards.
    assert middle == pytest.approx(((first[0] + last[0]) / 2, last[1]))
    assert last[1] < first[1]


def test_the_first_line_is_drawn_last_and_colours_are_the_style_sheets() -> None:
    svg = draw([Line([(0, 0), (1, 1)], 0), Line([(0, 1), (1, 0)], 1), Line([(0, 1), (1, 0)], 40)], UNIT)
    assert svg.rindex("var(--c1)") < svg.rindex("var(--c0)")
    assert "var(--c7)" in svg
    assert not re.search(r"#0000", svg)


def test_few_points_one_point_and_none() -> None:
    axes = Axes("t", "x", "y")
    assert draw([Line([(5, 0.7)], 0)], axes).count("<use") == 1
    assert "<use" not in draw([Line([], 0)], axes)
    many = draw([Line([(x, x) for x in range(30)], 0)], axes)
    assert "<use" not in many
    assert "nan" not in many


def test_words_in_a_chart_are_escaped() -> None:
    svg = draw([], Axes('a "quoted" <title>', "<x> $a_", "y & z"))
    assert "<title>" not in svg
    assert "<x>" not in svg
    assert "&lt;x&gt; $a_" in svg
    assert "y &amp; z" in svg


def test_a_chart_needs_nothing_else_and_is_the_same_each_time() -> None:
    lines = [Line([(0, 0.1), (1, 0.9)], 2)]
    assert draw(lines, UNIT) == draw(lines, UNIT)
    svg = draw(lines, UNIT)
    assert svg.startswith('<svg class="chart" role="img" aria-label="A title" viewBox="0 0 ')
    assert not re.search(r"url\(|https?:|<style|<metadata|20\d\d-", svg)
    ids = re.findall(r' id="([^"]*)"', svg + draw([Line([(0, 0.2), (1, 0.9)], 2)], UNIT))
    assert len(ids) == len(set(ids)) > 0
