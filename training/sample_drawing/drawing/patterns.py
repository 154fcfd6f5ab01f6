"""Patterns and textures as smooth functions of the cloth's own coordinates.

A pattern says how much of the second colour a pixel takes, a texture how bright the cloth is there. Both are turned
with the grain of the part they lie on, so that stripes run down a sleeve rather than across the picture.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .canvas import SIZE, Map

PATTERNS = ("plain", "striped", "pinstriped", "checked", "gingham", "dotted", "floral")
TEXTURES = ("smooth", "denim", "knit", "corduroy", "tweed", "straw", "linen", "satin")

_PER_PIXEL = 100 / SIZE


@lru_cache(maxsize=96)
def pattern_maps(name: str, grain: float) -> tuple[Map, Map]:
    """Shares of the second colour and of the third (petals' hearts and leaves), each of shape ``(SIZE, SIZE)``."""
    u, v = _coordinates(grain)
    v = v + 0.0009 * (u - 50) ** 2
    none = np.zeros_like(u)
    if name == "striped":
        return _band(v, 5.0, 0.4), none
    if name == "pinstriped":
        return 0.75 * _band(u, 3.4, 0.13), none
    if name == "checked":
        return np.clip(0.42 * _band(u, 10, 0.4) + 0.42 * _band(v, 10, 0.4), 0, 1), _cross(u, v)
    if name == "gingham":
        return 0.5 * _band(u, 4.4, 0.5) + 0.5 * _band(v, 4.4, 0.5), none
    if name == "dotted":
        return _dots(u, v, 5.6, 1.05), none
    if name == "floral":
        return _flowers(u, v)
    return none, none


@lru_cache(maxsize=96)
def texture_map(name: str, grain: float) -> Map:
    """Brightness of the cloth, 1 in the mean, shape ``(SIZE, SIZE)``."""
    woven = np.asarray(_woven(name, grain), np.float32)
    return np.asarray(woven / woven.mean(), np.float32)


def _woven(name: str, grain: float) -> Map:
    u, v = _coordinates(grain)
    noise = _noise(name)
    cloth: Map
    if name == "denim":
        cloth = 1 + 0.05 * np.sin((u + v) * 4.4) + 0.06 * noise + 0.05 * _smooth_noise(6)
    elif name == "knit":
        wale = np.abs(((u / 2.1) % 1) - 0.5) * 2
        cloth = 0.93 + 0.13 * np.sin(2 * np.pi * (v / 1.75 + 0.55 * wale)) * (0.35 + 0.65 * wale) - 0.07 * (wale > 0.9)
    elif name == "corduroy":
        cloth = 0.96 + 0.1 * np.sin(2 * np.pi * u / 1.6)
    elif name == "tweed":
        cloth = 1 + 0.085 * noise + 0.04 * np.sin((u + v) * 3.2) * np.sin((u - v) * 3.2)
    elif name == "straw":
        over = ((u // 1.9) + (v // 1.3)) % 2
        cloth = 0.9 + 0.1 * np.abs(np.sin(np.pi * u / 1.9)) * over + 0.1 * np.abs(np.sin(np.pi * v / 1.3)) * (1 - over)
    elif name == "linen":
        cloth = 1 + 0.035 * noise + 0.03 * np.roll(noise, 1, 0) + 0.02 * np.sin(v * 5.1)
    elif name == "satin":
        cloth = 1 + 0.1 * _smooth_noise(14)
    else:
        cloth = 1 + 0.012 * noise
    return cloth


@lru_cache(maxsize=32)
def _coordinates(grain: float) -> tuple[Map, Map]:
    axis = ((np.arange(SIZE) + 0.5) * _PER_PIXEL).astype(np.float32)
    x, y = np.meshgrid(axis - 50, axis - 50)
    angle = np.deg2rad(grain)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine + 50, -x * sine + y * cosine + 50


def _step(distance: Map) -> Map:
    """1 inside (negative distance), 0 outside, with an edge one pixel wide."""
    return np.asarray(np.clip(0.5 - distance / (1.2 * _PER_PIXEL), 0, 1), np.float32)


def _band(along: Map, period: float, share: float) -> Map:
    return _step(np.abs(((along / period) % 1) - 0.5) * period - share * period / 2)


def _cross(u: Map, v: Map) -> Map:
    return np.maximum(_band(u + 5, 10, 0.05), _band(v + 5, 10, 0.05)) * np.float32(0.8)


def _dots(u: Map, v: Map, period: float, radius: float) -> Map:
    row = np.floor(v / period)
    across = (u / period + 0.5 * (row % 2)) % 1 - 0.5
    return _step(np.hypot(across * period, ((v / period) % 1 - 0.5) * period) - radius)


def _flowers(u: Map, v: Map) -> tuple[Map, Map]:
    """Five-petalled flowers and small leaves scattered on a shaken grid."""
    petals, hearts = np.zeros_like(u), np.zeros_like(u)
    generator = np.random.default_rng(20)
    for row in range(-3, 15):
        for column in range(-3, 15):
            shake = generator.uniform(-1.7, 1.7, 2)
            turn, radius = generator.uniform(0, 2 * np.pi), generator.uniform(1.6, 2.7)
            x, y = column * 8.0 + 4.0 * (row % 2) + shake[0], row * 8.0 + shake[1]
            window = (np.abs(u - x) < 6) & (np.abs(v - y) < 6)
            if not window.any():
                continue
            du, dv = u[window] - x, v[window] - y
            distance, angle = np.hypot(du, dv), np.arctan2(dv, du)
            edge = radius * (0.72 + 0.28 * np.cos(5 * (angle + turn)))
            petals[window] = np.maximum(petals[window], _step(distance - edge))
            leaf = np.hypot(du - 3.4 * np.cos(turn), (dv - 3.4 * np.sin(turn)) * 1.8)
            hearts[window] = np.maximum(hearts[window], np.maximum(_step(distance - 0.62), _step(leaf - 1.05)))
    return petals, hearts


def _noise(name: str) -> Map:
    """Fine grain, the same for every picture: it stands for the cloth, not for chance."""
    generator = np.random.default_rng([7, TEXTURES.index(name)])
    return generator.standard_normal((SIZE, SIZE)).astype(np.float32).clip(-2, 2) * np.float32(0.6)


@lru_cache(maxsize=4)
def _smooth_noise(cell: int) -> Map:
    generator = np.random.default_rng([9, cell])
    coarse = generator.uniform(-1, 1, (cell, cell))
    position = np.linspace(0, cell - 1.001, SIZE)
    low, part = position.astype(int), position - position.astype(int)
    part = part * part * (3 - 2 * part)
    high = low + 1
    rows = coarse[low] * (1 - part[:, None]) + coarse[np.minimum(high, cell - 1)] * part[:, None]
    mixed = rows[:, low] * (1 - part) + rows[:, np.minimum(high, cell - 1)] * part
    return np.asarray(mixed, np.float32)
