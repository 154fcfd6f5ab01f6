from __future__ import annotations

import numpy as np
import pytest
from training.sample_drawing.drawing.canvas import SIZE, Template
from training.sample_drawing.drawing.photo import Cloth, photograph
from training.sample_drawing.garments import KINDS, Garment, Kind
from training.sample_drawing.palette import COLOURS
from training.sample_drawing.writer import cloth_of


@pytest.fixture(scope="module", params=list(KINDS.values())[::7], ids=lambda kind: kind.label)
def drawn(request: pytest.FixtureRequest) -> tuple[Kind, Template]:
    kind = next(kind for kind in KINDS.values() if kind is request.param)
    return kind, kind.draw()


def test_photo_shows_the_colour_that_the_title_says(drawn: tuple[Kind, Template]) -> None:
    kind, template = drawn
    main = np.zeros((SIZE, SIZE), np.float32)
    for slot, weights in template.weights.items():
        main += weights if slot.paint in ("main", "plain") else 0
    names = list(COLOURS)
    palette = np.asarray([COLOURS[name].rgb for name in names], np.float32)
    for name in (kind.colours[0], kind.colours[1], kind.colours[-1]):
        picture = np.asarray(photograph(template, cloth_of(Garment(kind, name))), np.float32)
        shown = np.quantile(picture[main > 0.75 * main.max()], 0.7, axis=0)
        nearest = names[int(np.argmin(((palette - shown) ** 2).sum(axis=1)))]
        assert nearest == name, f"{name} {kind.label} looks {nearest}: {shown}"


def test_garment_fills_a_fair_part_of_the_picture(drawn: tuple[Kind, Template]) -> None:
    cover = drawn[1].cover
    assert 0.015 < float(cover.mean()) < 0.6
    assert max(cover[0].max(), cover[-1].max(), cover[:, 0].max(), cover[:, -1].max()) == 0


def test_weights_are_shares(drawn: tuple[Kind, Template]) -> None:
    """Paints never add up to more light than a fully lit garment gives, and nothing is painted on the ground."""
    template = drawn[1]
    total = np.sum(list(template.weights.values()), axis=0)
    assert float(total.max()) < 1.12
    assert float(total[template.cover == 0].max()) == 0


def test_pattern_changes_the_picture() -> None:
    kind = KINDS["cotton shirt"]
    template = kind.draw()
    patterns = ("plain", *kind.patterns)
    pictures = {photograph(template, cloth_of(Garment(kind, "navy", pattern))).tobytes() for pattern in patterns}
    assert len(pictures) == len(patterns)


def test_flipping_turns_the_garment() -> None:
    template = KINDS["leather pumps"].draw()
    right = np.asarray(photograph(template, Cloth((10, 20, 30))))
    left = np.asarray(photograph(template, Cloth((10, 20, 30)), flipped=True))
    assert (left[:, ::-1] == right).all()
    assert (left != right).any()
