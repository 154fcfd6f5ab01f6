"""Photos made small, charts whose lines stand where the numbers say, and a drawing for every category."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

from PIL import Image

from coordi.data.photos import photo_uri
from coordi.evaluate.plots import Axes, Series, line_chart, thinned
from coordi.evaluate.report import silhouette
from coordi.types import GARMENT_CATEGORIES


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


def test_every_category_has_a_drawing_of_its_own() -> None:
    assert len({silhouette(category) for category in GARMENT_CATEGORIES}) == len(GARMENT_CATEGORIES)


def test_lines_stand_where_the_numbers_say() -> None:
    axes = Axes("A title", "x", "y", (0, 1), (0, 1), ((0, 0), (1, 1)))
    chart = line_chart([Series("a", [(0, 0), (0.5, 1), (1, 1)])], axes)
    # The plane is 354 by 240 from (52, 14); y grows downwards.
    assert 'class="line line-0" d="M52.0 254.0 L229.0 14.0 L406.0 14.0"' in chart
    assert 'class="chance" d="M52.0 254.0 L406.0 14.0"' in chart
    assert re.findall(r'text-anchor="middle">([\d.]+)<', chart) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_the_first_line_is_drawn_last() -> None:
    chart = line_chart([Series("a", [(0, 0), (1, 1)]), Series("b", [(0, 1), (1, 0)])], Axes("t", "x", "y"))
    assert chart.index("line line-1") < chart.index("line line-0")


def test_few_points_one_point_and_none() -> None:
    axes = Axes("t", "x", "y")
    one = line_chart([Series("a", [(5, 0.7)])], axes)
    assert one.count("<circle") == 1
    assert "line line-0" not in one
    assert "<circle" not in line_chart([Series("a", [])], axes)
    many = line_chart([Series("a", [(x, x) for x in range(30)])], axes)
    assert "<circle" not in many
    assert "nan" not in one + many


def test_words_in_a_chart_are_escaped() -> None:
    chart = line_chart([], Axes('a "quoted" <title>', "<x>", "y & z"))
    assert "<title>" not in chart
    assert "<x>" not in chart
    assert "y &amp; z" in chart


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    axes = Axes("t", "x", "y", (10, 1000), (0, 1), x_log=True, x_ticks=(10, 100, 1000))
    chart = line_chart([Series("a", [(10, 0), (100, 0.5), (1000, 1)])], axes)
    assert 'd="M52.0 254.0 L229.0 134.0 L406.0 14.0"' in chart
    assert re.findall(r'text-anchor="middle">([\d.]+)<', chart) == ["10", "100", "1000"]
    assert "nan" not in line_chart([Series("a", [(7, 0.5)])], Axes("t", "x", "y", x_log=True))


def test_intervals_are_bars_through_their_points_and_widen_the_span() -> None:
    chart = line_chart(
        [Series("a", [(0, 0.5)], 3, [(0.25, 0.75)])], Axes("t", "x", "y", (0, 1), (0, 1), ((0, 0.5), (1, 0.5)))
    )
    assert 'class="bar line-3" d="M52.0 194.0 V74.0"' in chart
    assert 'class="dot line-3" cx="52.0" cy="134.0"' in chart
    assert 'class="chance" d="M52.0 134.0 L406.0 134.0"' in chart
    heights = [float(y) for y in re.findall(r'bar line-0" d="M[\d.]+ ([\d.]+) V', line_chart(
        [Series("a", [(0, 5), (1, 6)], None, [(1, 9), (2, 10)])], Axes("t", "x", "y")))]  # fmt: skip
    assert all(14 <= height <= 254 for height in heights)


def test_a_thinned_curve_keeps_its_ends_and_its_shape() -> None:
    steps = [(x / 1000, float(x >= 300)) for x in range(1001)]
    kept = thinned(steps, 50)
    assert len(kept) <= 52
    assert (kept[0], kept[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert {(0.299, 0.0), (0.3, 1.0)} & set(kept)
    assert set(kept) <= set(steps)
    assert thinned(steps[:9], 50) == steps[:9]
