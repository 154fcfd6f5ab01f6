# ruff: noqa: E501  lines of HTML
"""Held-out photos of other things that no photographer took: pages in a browser, and matplotlib's charts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from PIL import Image

CHROMIUM = "/usr/bin/chromium"
NOUNS = (
    "milk", "bread", "apples", "rice", "soap", "tea", "coffee", "paper", "pens", "stamps", "butter", "onions", "batteries",
    "candles", "flour", "honey", "juice", "salt", "pepper", "envelope", "report", "meeting", "budget", "invoice",
    "address", "platform", "ticket", "garden", "museum", "station", "weather", "kitchen", "holiday",
)  # fmt: skip


def _sentence(generator: Generator, count: int) -> str:
    return " ".join(generator.choice(NOUNS, size=count)).capitalize() + "."


def _till(generator: Generator) -> str:
    rows = "".join(
        f"<tr><td>{generator.choice(NOUNS).title()}</td><td align=right>{generator.uniform(0.4, 30):.2f} €</td></tr>"
        for _ in range(int(generator.integers(6, 22)))
    )
    return (
        f"<body style='background:{generator.choice(['#8a6f55', '#ddd', '#35506b', '#fff'])};margin:0;padding:30px'>"
        f"<div style='background:#fdfdf8;width:{generator.integers(150, 260)}px;margin:auto;padding:14px;font:12px "
        f"Liberation Mono;transform:rotate({generator.uniform(-6, 6):.1f}deg);box-shadow:2px 3px 9px #0006'>"
        f"<center><b>CORNER SHOP</b><br>Tel 555 0134<br>-------------</center><table width=100%>{rows}"
        f"<tr><td><b>TOTAL</b></td><td align=right><b>{generator.uniform(20, 200):.2f} €</b></td></tr></table>"
        "<center>Thank you!</center></div>"
    )


def _letter(generator: Generator) -> str:
    parts = "".join(f"<p>{_sentence(generator, int(generator.integers(15, 50)))}</p>" for _ in range(6))
    family = generator.choice(["Liberation Serif", "Liberation Sans", "DejaVu Serif"])
    return f"<body style='font:{generator.integers(12, 22)}px {family};padding:30px;background:#fff'><h2>{_sentence(generator, 3)}</h2>{parts}"


def _program(generator: Generator) -> str:
    menu = "".join(f"<div style='padding:9px'>{word.title()}</div>" for word in generator.choice(NOUNS, size=9))
    cells = "".join(
        f"<div style='background:hsl({generator.integers(360)} 60% 60%);height:80px;border-radius:8px;padding:8px'>"
        f"{_sentence(generator, 3)}<br><button>Open</button></div>"
        for _ in range(9)
    )
    dark = generator.random() < 0.4
    return (
        f"<body style='margin:0;font:14px Liberation Sans;background:{'#1c1f26' if dark else '#f4f5f7'};color:{'#ddd' if dark else '#222'}'>"
        f"<header style='background:hsl({generator.integers(360)} 50% 40%);color:#fff;padding:12px'>{_sentence(generator, 2)}</header>"
        f"<div style='display:flex'><nav style='width:110px'>{menu}</nav><main style='flex:1;display:grid;gap:10px;"
        f"padding:10px;grid-template-columns:repeat(3,1fr)'>{cells}</main></div>"
    )


def _chat(generator: Generator) -> str:
    bubbles = "".join(
        f"<div style='max-width:70%;padding:9px;border-radius:12px;margin:7px;background:{colour};{side}'>{_sentence(generator, 6)}</div>"
        for _ in range(9)
        for colour, side in [(("#d9fdd3", "margin-left:auto"), ("#fff", ""))[int(generator.integers(2))]]
    )
    return f"<body style='margin:0;padding:8px;font:15px Liberation Sans;background:{generator.choice(['#e5ddd5', '#222', '#eef'])}'>{bubbles}"


def _spreadsheet(generator: Generator) -> str:
    rows = "".join(
        "<tr>" + "".join(f"<td>{generator.integers(10, 9999)}</td>" for _ in range(7)) + "</tr>" for _ in range(18)
    )
    return f"<style>td{{border:1px solid #bbb;padding:3px 9px}}</style><body style='font:13px Liberation Sans'><table style='border-collapse:collapse'>{rows}</table>"


def _map(generator: Generator) -> str:
    roads = "".join(
        f"<path d='M{generator.integers(400)} 0 Q {generator.integers(400)} {generator.integers(400)} {generator.integers(400)} 400' "
        f"stroke='{generator.choice(['#fff', '#fc6', '#f88'])}' stroke-width='{generator.integers(3, 12)}' fill='none'/>"
        for _ in range(12)
    )
    parks = "".join(
        f"<ellipse cx={generator.integers(400)} cy={generator.integers(400)} rx={generator.integers(20, 90)} "
        f"ry={generator.integers(20, 60)} fill='{generator.choice(['#b7dba0', '#a8d3f0', '#e3dcd0'])}'/>"
        for _ in range(9)
    )
    return f"<body style='margin:0'><svg width=400 height=400 style='background:#efeae2'>{parks}{roads}</svg>"


def _interior(generator: Generator) -> str:
    """A room by gradients: a wall, a floor, a sofa, a lamp, a picture."""
    hues = generator.integers(360, size=5)
    return (
        f"<body style='margin:0'><div style='position:relative;width:400px;height:400px;background:linear-gradient(hsl({hues[0]} 25% 82%),"
        f"hsl({hues[0]} 22% 70%) 66%,hsl({hues[1]} 30% 45%) 66%,hsl({hues[1]} 30% 32%))'>"
        f"<div style='position:absolute;left:{generator.integers(20, 90)}px;top:190px;width:220px;height:110px;border-radius:26px 26px 8px 8px;"
        f"background:linear-gradient(hsl({hues[2]} 40% 55%),hsl({hues[2]} 40% 35%));box-shadow:0 22px 24px #0007'></div>"
        f"<div style='position:absolute;right:{generator.integers(20, 60)}px;top:90px;width:56px;height:46px;background:#f5e6b8;"
        "clip-path:polygon(25% 0,75% 0,100% 100%,0 100%)'></div>"
        f"<div style='position:absolute;right:74px;top:136px;width:5px;height:150px;background:#444'></div>"
        f"<div style='position:absolute;left:{generator.integers(90, 180)}px;top:50px;width:90px;height:70px;border:6px solid #6b4a2f;"
        f"background:linear-gradient(45deg,hsl({hues[3]} 60% 60%),hsl({hues[4]} 60% 60%))'></div></div>"
    )


PAGES: tuple[tuple[str, Callable[[Generator], str]], ...] = (
    ("receipt", _till), ("letter", _letter), ("program", _program), ("chat", _chat), ("spreadsheet", _spreadsheet),
    ("map", _map), ("room", _interior),
)  # fmt: skip


def rendered_pages(generator: Generator, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Pages of each kind in turn, as a browser shows them."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for number in range(count):
            name, draw = PAGES[number % len(PAGES)]
            wide = name in ("program", "spreadsheet") and generator.random() < 0.5
            page = browser.new_page(viewport={"width": 640 if wide else 400, "height": 400})
            page.set_content(draw(generator))
            yield name, Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            page.close()
        browser.close()


def charts(generator: Generator, count: int) -> Iterator[Image.Image]:
    """Charts of four kinds."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    for number in range(count):
        figure, axes = pyplot.subplots(figsize=(4, 3.4), dpi=90)
        values = generator.normal(size=(40, 3)).cumsum(axis=0)
        if number % 4 == 0:
            axes.plot(values)
        elif number % 4 == 1:
            axes.bar(np.arange(8), np.abs(values[:8, 0]), color=generator.uniform(0, 1, size=3))
        elif number % 4 == 2:
            axes.imshow(generator.normal(size=(12, 12)), cmap=str(generator.choice(["viridis", "magma", "coolwarm"])))
        else:
            axes.hist(generator.normal(size=500), bins=24)
        axes.set_title(_sentence(generator, 3))
        file = io.BytesIO()
        figure.savefig(file)
        pyplot.close(figure)
        yield Image.open(file).convert("RGB")
