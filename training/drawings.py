"""Drawn photos of other things to train on: paper, screens, charts, rooms, landscapes and textures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from image_features import texture

FONTS = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf", "DejaVuSans-Bold.ttf")
SYLLABLES = ("ka", "ne", "to", "ri", "lo", "ma", "su", "ve", "da", "po", "chi", "le", "ran", "ter", "mo", "bi", "sha")
SIZE = 336


def _word(generator: Generator) -> str:
    return "".join(generator.choice(SYLLABLES, size=int(generator.integers(1, 4))))


def _words(generator: Generator, count: int) -> str:
    return " ".join(_word(generator) for _ in range(count))


def _font(generator: Generator, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(generator.choice(FONTS)), size)


def _colour(generator: Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in generator.integers(low, high, size=3))
    return red, green, blue


def _on_a_table(paper: Image.Image, generator: Generator) -> Image.Image:
    """Paper, turned a little, on white, a plain colour or a texture."""
    kind = generator.random()
    if kind < 0.3:
        back = Image.new("RGB", (SIZE, SIZE), "white")
    elif kind < 0.6:
        back = Image.new("RGB", (SIZE, SIZE), _colour(generator, 60))
    else:
        back = Image.fromarray(texture(generator)).resize((SIZE, SIZE))
    mask = Image.new("L", paper.size, 255)
    angle = generator.uniform(-12, 12)
    paper, mask = (part.rotate(angle, Image.Resampling.BILINEAR, expand=True) for part in (paper, mask))
    scale = SIZE * generator.uniform(0.7, 1.15) / max(paper.size)
    size = (max(int(paper.width * scale), 8), max(int(paper.height * scale), 8))
    back.paste(paper.resize(size), ((SIZE - size[0]) // 2, (SIZE - size[1]) // 2), mask.resize(size))
    return back


def receipt(generator: Generator) -> Image.Image:
    """A narrow strip of prices."""
    width, lines = int(generator.integers(110, 220)), int(generator.integers(10, 34))
    step = int(generator.integers(11, 18))
    paper = Image.new("RGB", (width, (lines + 5) * step), _colour(generator, 225))
    draw, font = ImageDraw.Draw(paper), _font(generator, max(step - 4, 7))
    for line in range(lines + 3):
        y = (line + 1) * step
        if line == 0:
            draw.text((width // 4, y), _word(generator).upper(), fill=(30, 30, 30), font=_font(generator, step + 2))
        elif generator.random() < 0.08:
            draw.line((6, y + step // 2, width - 6, y + step // 2), fill=(90, 90, 90))
        else:
            draw.text((8, y), _words(generator, 2)[: width // 12], fill=(40, 40, 40), font=font)
            draw.text((width - 44, y), f"{generator.uniform(0.5, 90):.2f}", fill=(40, 40, 40), font=font)
    return _on_a_table(paper, generator)


def document(generator: Generator) -> Image.Image:
    """A page of text, with a heading, at times with a picture or a table."""
    width, height = 240, int(generator.integers(240, 345))
    dark = generator.random() < 0.15
    paper = Image.new("RGB", (width, height), (20, 20, 24) if dark else _colour(generator, 230))
    draw, size = ImageDraw.Draw(paper), int(generator.integers(6, 15))
    ink = (210, 210, 210) if dark else (40, 40, 40)
    font, y = _font(generator, size), 16
    draw.text((18, y), _words(generator, 3), fill=ink, font=_font(generator, size + 6))
    y += size + 18
    while y < height - 20:
        if generator.random() < 0.04:
            draw.rectangle((18, y, width - 18, y + 40), fill=_colour(generator))
            y += 46
        if generator.random() < 0.9:
            draw.text((18, y), _words(generator, 8)[: int(380 / size)], fill=ink, font=font)
        y += size + 4
    return _on_a_table(paper, generator)


def screen(generator: Generator) -> Image.Image:
    """A program's window or a telephone's screen: bars, panels, buttons, lines of text."""
    width, height = (180, 330) if generator.random() < 0.5 else (336, int(generator.integers(190, 260)))
    dark = generator.random() < 0.35
    image = Image.new("RGB", (width, height), _colour(generator, 10, 50) if dark else _colour(generator, 225))
    draw, font = ImageDraw.Draw(image), _font(generator, int(generator.integers(7, 13)))
    ink = (220, 220, 220) if dark else (50, 50, 50)
    draw.rectangle((0, 0, width, 22), fill=_colour(generator))
    draw.text((8, 5), _words(generator, 2), fill="white", font=font)
    y = 30
    while y < height - 30:
        kind, left = generator.random(), 8 if generator.random() < 0.6 else width // 3
        tall = int(generator.integers(14, 60))
        if kind < 0.35:
            draw.rounded_rectangle((left, y, width - 10, y + tall), 6, fill=_colour(generator, 60 if dark else 150))
            draw.text((left + 6, y + 4), _words(generator, 3), fill=ink, font=font)
        elif kind < 0.5:
            for column in range(3):
                x = 8 + column * width // 3
                draw.rectangle((x, y, x + width // 3 - 12, y + tall), fill=_colour(generator))
        else:
            tall = 12
            draw.text((left, y), _words(generator, 6), fill=ink, font=font)
        y += tall + 8
    return image if generator.random() < 0.6 else _on_a_table(image, generator)


def chart(generator: Generator) -> Image.Image:
    """Bars, lines, points or a pie with axes."""
    image = Image.new("RGB", (SIZE, 250), "white" if generator.random() < 0.7 else _colour(generator, 10, 60))
    draw, kind = ImageDraw.Draw(image), int(generator.integers(4))
    draw.line((30, 15, 30, 225, 320, 225), fill=(120, 120, 120), width=2)
    draw.text((80, 2), _words(generator, 3), fill=(100, 100, 100), font=_font(generator, 12))
    count = int(generator.integers(4, 14))
    x = np.linspace(45, 300, count)
    y = generator.uniform(30, 215, size=count)
    if kind == 0:
        colour = _colour(generator)
        for left, top in zip(x, y, strict=True):
            draw.rectangle((left, top, left + 180 / count, 224), fill=colour)
    elif kind == 1:
        for _ in range(int(generator.integers(1, 5))):
            points = list(zip(x.tolist(), generator.uniform(30, 215, size=count).tolist(), strict=True))
            draw.line(points, fill=_colour(generator), width=int(generator.integers(1, 4)))
    elif kind == 2:
        for left, top in generator.uniform([35, 20], [315, 220], size=(count * 8, 2)):
            draw.ellipse((left, top, left + 5, top + 5), fill=_colour(generator))
    else:
        start = 0.0
        for share in generator.dirichlet(np.ones(count)) * 360:
            draw.pieslice((80, 30, 270, 220), start, start + share, fill=_colour(generator))
            start += share
    return image


def room(generator: Generator) -> Image.Image:
    """Walls, a floor in perspective, a window or a picture, and boxes of furniture with their shadows."""
    image = Image.new("RGB", (SIZE, SIZE), _colour(generator, 120))
    draw = ImageDraw.Draw(image)
    horizon, inset = int(generator.integers(170, 250)), int(generator.integers(20, 90))
    floor, side = _colour(generator, 60, 200), _colour(generator, 100, 230)
    draw.polygon([(0, SIZE), (inset, horizon), (SIZE - inset, horizon), (SIZE, SIZE)], fill=floor)
    draw.polygon([(0, 0), (inset, 30), (inset, horizon), (0, SIZE)], fill=side)
    draw.polygon([(SIZE, 0), (SIZE - inset, 30), (SIZE - inset, horizon), (SIZE, SIZE)], fill=side)
    for _ in range(int(generator.integers(0, 3))):
        left, top = int(generator.integers(inset, 230)), int(generator.integers(35, 90))
        right, bottom = left + int(generator.integers(30, 90)), top + int(generator.integers(40, 80))
        draw.rectangle((left, top, right, bottom), fill=_colour(generator, 120), outline=(90, 80, 70), width=4)
        draw.line(((left + right) // 2, top, (left + right) // 2, bottom), fill=(90, 80, 70), width=3)
    for _ in range(int(generator.integers(1, 5))):
        left, width = int(generator.integers(0, 250)), int(generator.integers(40, 160))
        top, bottom = int(generator.integers(130, 230)), int(generator.integers(240, 320))
        colour = np.array(_colour(generator, 30, 230))
        draw.rectangle((left, top, left + width, bottom), fill=tuple(int(v) for v in colour))
        draw.polygon(
            [(left, top), (left + 18, top - 18), (left + width + 18, top - 18), (left + width, top)],
            fill=tuple(int(v) for v in (colour * 1.15).clip(0, 255)),
        )
        for leg in (left, left + width - 8):
            draw.rectangle((leg, bottom, leg + 8, bottom + 16), fill=tuple(int(v) for v in colour * 0.5))
    return image


def landscape(generator: Generator) -> Image.Image:
    """A sky that changes with height, hills, and trees or houses."""
    top, low = (np.array(_colour(generator, 90)) for _ in range(2))
    share = np.linspace(0, 1, SIZE)[:, None, None]
    image = Image.fromarray(np.broadcast_to(top * (1 - share) + low * share, (SIZE, SIZE, 3)).astype(np.uint8).copy())
    draw = ImageDraw.Draw(image)
    for height in np.sort(generator.uniform(120, 300, size=int(generator.integers(1, 5)))):
        x = np.arange(0, SIZE + 8, 8)
        sizes, lengths, shifts = (generator.uniform(*limits, (3, 1)) for limits in ((3, 25), (12, 90), (0, 6)))
        waves = (sizes * np.sin(x / lengths + shifts)).sum(axis=0)
        points = [(0, SIZE), *zip(x.tolist(), (height + waves).tolist(), strict=True), (SIZE, SIZE)]
        draw.polygon(points, fill=_colour(generator, 20, 190))
    for _ in range(int(generator.integers(0, 14))):
        x, y, tall = int(generator.integers(SIZE)), int(generator.integers(150, 320)), int(generator.integers(15, 70))
        draw.rectangle((x - 2, y - tall // 2, x + 2, y), fill=(80, 55, 35))
        draw.ellipse((x - tall // 3, y - tall, x + tall // 3, y - tall // 3), fill=_colour(generator, 10, 150))
    return image


def surface(generator: Generator) -> Image.Image:
    """A bare texture, at times two beside one another."""
    image = Image.fromarray(texture(generator))
    if generator.random() < 0.4:
        image.paste(Image.fromarray(texture(generator)), (int(generator.integers(40, 180)), 0))
    return image


DRAWINGS: tuple[tuple[str, Callable[[Generator], Image.Image]], ...] = (
    ("receipt", receipt), ("document", document), ("screen", screen), ("chart", chart), ("room", room),
    ("landscape", landscape), ("receipt", receipt), ("screen", screen), ("surface", surface),
)  # fmt: skip
