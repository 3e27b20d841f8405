"""Style pictures made with a loaded brush: thick oil and divided dots."""

from __future__ import annotations

import numpy as np
from art import (
    Array,
    Bristles,
    finish,
    follow,
    mix,
    palette,
    ramp,
    smoothstep,
)


def draw_impasto_night(rng: np.random.Generator, size: int) -> Array:
    """Night wind over a wheat field, in thick oil.

    The wind is the curl of a stream function (a steady breeze, two great eddies, a ring round each
    star), so that strokes and bands of colour follow the same lines. Large strokes lie under small
    ones, every stroke leaves ridges in a height map, and a lamp from the upper left shows them.
    """
    side = 2 * size
    canvas = Bristles(rng, side, palette("1a2440")[0])
    eddies = [(0.36, 0.30, 0.155, 0.34), (0.63, 0.40, 0.105, -0.21), (0.06, 0.50, 0.11, -0.16)]
    stars = [(0.84, 0.15, 0.105), (0.11, 0.12, 0.055), (0.61, 0.09, 0.045), (0.90, 0.42, 0.045)]
    stars += [(0.14, 0.36, 0.036), (0.47, 0.53, 0.034), (0.74, 0.585, 0.030), (0.36, 0.06, 0.030)]

    def stream(x: Array, y: Array) -> Array:
        value = y + 0.03 * np.sin(7 * x + 2) + 0.015 * np.sin(17 * x + 9 * y)
        for cx, cy, radius, force in eddies:
            value = value + force * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
        for cx, cy, radius in stars:
            d = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
            value = value + 1.6 * radius * np.exp(-((d / (1.3 * radius)) ** 2))
        return value

    def wind(p: Array) -> Array:
        x, y, e = p[..., 0] / side, p[..., 1] / side, 1e-4
        gx = (stream(x + e, y) - stream(x - e, y)) / (2 * e)
        gy = (stream(x, y + e) - stream(x, y - e)) / (2 * e)
        return np.arctan2(-gx, gy)

    def ridge(x: Array, layer: int) -> Array:
        base, swell, phase = [(0.66, 0.045, 0.6), (0.715, 0.035, 2.9), (0.775, 0.022, 4.4)][layer]
        return base + swell * np.sin(5.2 * x + phase) + 0.4 * swell * np.sin(13 * x + 2 * phase)

    def sky(x: Array, y: Array) -> Array:
        tone = 0.5 + 0.5 * np.sin(34 * stream(x, y)) * (0.75 + 0.25 * np.sin(9 * x + 5 * y))
        blues = palette("0f1b45 16307a 1f4fa3 3277bd 5fa3cf a9d0d8 e3e6c4")
        tone = np.clip(0.62 * tone + 0.30 * (y - 0.1) + rng.normal(0, 0.07, x.shape), 0, 1)
        return ramp(tone, blues)

    def glow(x: Array, y: Array) -> Array:
        colour = sky(x, y)
        lights = palette("fffbe0 ffe682 fbc637 e9b63a a3bf7a 4d93b4 3277bd")
        for cx, cy, radius in stars:
            d = np.sqrt((x - cx) ** 2 + (y - cy) ** 2) / (1.4 * radius)
            near = smoothstep(1.0, 0.75, d)
            colour = mix(
                colour, ramp(np.clip(d + rng.normal(0, 0.06, x.shape), 0, 1), lights), near
            )
        return colour

    def hills(layer: int):
        greens = [
            "16264f 1f4a6d 2f6f7c 5d9c86",
            "14233f 1d4a52 377458 86a656",
            "1b2c33 3c5a35 7f8f3c c3b457",
        ]
        colours = palette(greens[layer])

        def paint(x: Array, y: Array) -> Array:
            depth = (y - ridge(x, layer)) / 0.09
            tone = (
                0.75
                - 0.6 * depth
                + 0.25 * np.sin(40 * depth + 9 * x)
                + rng.normal(0, 0.12, x.shape)
            )
            return ramp(np.clip(tone, 0, 1), colours)

        return paint

    def slope(layer: int):
        def angle(p: Array) -> Array:
            x, e = p[..., 0] / side, 1e-3
            return np.arctan((ridge(x + e, layer) - ridge(x - e, layer)) / (2 * e)) + 0.25

        return angle

    def wheat(x: Array, y: Array) -> Array:
        tone = 0.5 + 0.3 * np.sin(11 * x + 30 * y) + rng.normal(0, 0.2, x.shape) + 0.5 * (0.86 - y)
        return ramp(np.clip(tone, 0, 1), palette("5b3413 a4641d d08f26 eab63c f7d873 fff2b8"))

    def sway(p: Array) -> Array:
        x, y = p[..., 0] / side, p[..., 1] / side
        return -np.pi / 2 + 0.55 * np.sin(6 * x + 7 * y) + 0.35

    def tree(x: Array, y: Array) -> Array:
        tone = 0.3 + 0.3 * np.sin(70 * x + 12 * y) + rng.normal(0, 0.16, x.shape)
        return ramp(np.clip(tone, 0, 1), palette("0b1622 13302f 235043 4d7a46 a2a650"))

    def flame(p: Array) -> Array:
        x, y = p[..., 0] / side, p[..., 1] / side
        return -np.pi / 2 + 0.28 * np.sin(26 * y + 14 * x)

    def in_tree(x: Array, y: Array) -> Array:
        inside = np.zeros(x.shape, bool)
        for cx, top, foot, wide in [(0.205, 0.30, 0.92, 0.050), (0.275, 0.50, 0.92, 0.036)]:
            t = np.clip((y - top) / (foot - top), 0, 1)
            half = wide * t**0.8 * (1 - 0.35 * t**3) * (1 + 0.16 * np.sin(75 * y + 20 * cx))
            inside |= (np.abs(x - cx - 0.010 * np.sin(16 * y)) < half) & (y > top) & (y < foot)
        return inside

    def paint(where, colour, angle, passes) -> None:
        for count, width, length in passes:
            spots = rng.random((count, 2)) * 1.06 - 0.03
            spots = spots[where(spots[:, 0], spots[:, 1])]
            paths = follow(angle, spots * side, length * rng.uniform(0.7, 1.3, len(spots)), 8)
            first, second = colour(*spots.T), colour(*spots.T)
            for i, path in enumerate(paths):
                canvas.stroke(path, width * rng.uniform(0.75, 1.25), first[i], second[i])

    paint(lambda x, y: y < 0.74, sky, wind, [(1500, 34, 130), (3600, 19, 95), (5200, 12, 66)])
    for cx, cy, radius in stars:
        close = (
            [(1800, 16, 40), (1800, 10, 34)] if radius > 0.05 else [(1500, 11, 22), (1800, 7, 22)]
        )
        scale = 1.25 * radius

        def around(spots_x: Array, spots_y: Array, cx=cx, cy=cy, scale=scale) -> Array:
            return (spots_x - cx) ** 2 + (spots_y - cy) ** 2 < scale**2

        def ring(p: Array, cx=cx, cy=cy) -> Array:
            return np.arctan2(p[..., 0] / side - cx, cy - p[..., 1] / side)

        paint(
            around,
            glow,
            ring,
            [(int(n / radius / 1.3), width, length) for n, width, length in close],
        )
    for layer in range(3):
        below = lambda x, y, k=layer: (y > ridge(x, k) + 0.01) & (y < ridge(x, k) + 0.15)  # noqa: E731
        paint(below, hills(layer), slope(layer), [(2200, 22, 90), (4200, 13, 60), (3000, 9, 44)])
    paint(in_tree, tree, flame, [(6000, 14, 60), (14000, 9, 50), (16000, 5, 34)])
    paint(lambda x, y: y > 0.85, wheat, sway, [(1500, 22, 110), (6500, 12, 84), (8000, 7, 60)])
    return finish(canvas.lit(), size)


def draw_pointillist_river(rng: np.random.Generator, size: int) -> Array:
    """A river at sunset, in dots of divided colour.

    A plain colour sketch says what the eye should mix. Three coats of dabs, large to small, each
    a pure neighbour of the wanted colour (warmer, cooler, lighter, or its complement in the
    shade), are laid along the direction of the thing they show: flat on water, upright on trees.
    """
    side = 2 * size
    canvas = Bristles(rng, side, palette("e9d3a8")[0])
    crowns = [(0.10, 0.30, 0.115, 0.135), (0.02, 0.44, 0.11, 0.12), (0.225, 0.425, 0.075, 0.075)]
    crowns += [(0.90, 0.465, 0.05, 0.075), (0.965, 0.43, 0.055, 0.10), (0.845, 0.505, 0.03, 0.04)]
    sails = [(0.40, 0.33, 0.655, 0.115), (0.765, 0.455, 0.605, 0.055), (0.565, 0.495, 0.585, 0.034)]

    def bank(x: Array) -> Array:
        return (
            0.985 - 0.28 * np.exp(-((np.maximum(x + 0.05, 0) / 0.36) ** 2)) - 0.02 * np.sin(9 * x)
        )

    clouds = [
        (0.36, 0.12, 0.22, 0.045),
        (0.82, 0.21, 0.24, 0.036),
        (0.52, 0.27, 0.16, 0.020),
        (0.70, 0.06, 0.16, 0.022),
    ]

    def sketch(x: Array, y: Array) -> tuple[Array, Array]:
        jx, jy = x + rng.normal(0, 0.0025, x.shape), y + rng.normal(0, 0.0025, x.shape)
        haze = 0.10 * np.sin(9 * jx + 22 * jy + 2 * np.sin(6 * jx)) + 0.05 * np.sin(
            31 * jy - 8 * jx
        )
        glow = np.exp(-(((jx - 0.62) / 0.30) ** 2 + ((jy - 0.47) / 0.24) ** 2))
        skies = palette("34508f 5479b4 8a94c2 c7a3b8 eab394 f6cf8a fdebb4")
        colour = ramp(np.clip(1.15 * jy + 0.38 * glow + haze, 0, 1), skies)
        for cx, cy, rx, ry in clouds:
            drift = ((jx - cx) / rx) ** 2 + ((jy - cy) / ry) ** 2
            drift = (
                drift
                + 0.45 * np.sin(52 * jx + 30 * cx) * np.sin(70 * jy + 9 * jx)
                + 0.3 * np.sin(23 * jx)
            )
            lit = ramp(np.clip(0.5 - 0.45 * (cy - jy) / ry, 0, 1), palette("e9c3c4 fbe3bd"))
            colour = mix(colour, lit, 0.85 * smoothstep(1.3, 0.3, drift))
        angle = 0.35 * np.sin(7 * jx + 5 * jy)
        disc = np.sqrt((jx - 0.62) ** 2 + (jy - 0.455) ** 2)
        colour = mix(colour, palette("fff3b0")[0], smoothstep(0.058, 0.036, disc))

        hill = (
            0.555 - 0.045 * np.sin(4.0 * jx + 0.2) ** 2 - 0.03 * np.exp(-(((jx - 0.33) / 0.1) ** 2))
        )
        t = np.clip((jy - hill) / 0.07 + haze, 0, 1)
        colour = np.where((jy > hill)[:, None], ramp(t, palette("5b5aa0 7a6aa8 a883a8")), colour)
        angle = np.where(jy > hill, 0.2, angle)

        water = jy > 0.575
        wave = np.sin(120 * np.clip(jy - 0.5, 0, 1) ** 0.75 + 6 * np.sin(5 * jx + 11 * jy))
        path = np.exp(-(((jx - 0.62 - 0.02 * wave) / (0.05 + 0.16 * (jy - 0.575))) ** 2))
        tone = 1.08 - 1.55 * (jy - 0.575) + 0.16 * wave
        lake = ramp(np.clip(tone, 0, 1), palette("143458 1d5480 3b7ba3 6f98b8 b79db4 e6b48f"))
        lake = mix(lake, palette("ffd873")[0], np.clip(path * (0.55 + 0.5 * wave), 0, 1))
        colour = np.where(water[:, None], lake, colour)
        angle = np.where(water, 0.0, angle)
        for cx, top, foot, half in sails:
            mirror = water & (jy > foot) & (jy < 2 * foot - top + 0.03) & (wave > -0.2)
            mirror &= np.abs(jx - cx) < half * 0.55 * np.clip(
                (2 * foot - top - jy) / (foot - top), 0, 1
            )
            colour = np.where(mirror[:, None], palette("f6dfc0")[0], colour)
            f = np.clip((jy - top) / (foot - top), 0, 1)
            inside = (
                (jy > top)
                & (jy < foot - 0.012)
                & (jx > cx - 0.25 * half * f)
                & (jx < cx + half * f)
            )
            light = ramp(np.clip((jx - cx) / half + 0.3, 0, 1), palette("a58fc0 f3dcc0 fff6dc"))
            colour = np.where(inside[:, None], light, colour)
            hull = (np.abs(jy - foot) < 0.012) & (np.abs(jx - cx - 0.2 * half) < 0.9 * half)
            colour = np.where(hull[:, None], palette("5a2333")[0], colour)
            angle = np.where(inside, np.pi / 2, angle)

        grass = jy > bank(jx)
        t = (
            0.5
            + 0.45 * np.sin(24 * jy + 8 * jx + 1.5 * np.sin(13 * jx))
            + 0.9 * (0.86 - jy)
            + 0.5 * haze
        )
        meadow = ramp(np.clip(t, 0, 1), palette("27506a 2f7a58 5f9f45 a7bb48 eccf5e"))
        colour = np.where(grass[:, None], meadow, colour)
        poppy = grass & (rng.random(x.shape) < 0.16 * smoothstep(0.74, 0.86, jy))
        colour = np.where(poppy[:, None], palette("d8402f")[0], colour)
        angle = np.where(grass, 0.5 * np.sin(15 * jx) - 1.1, angle)
        for cx, top, foot in [
            (0.105, 0.38, 0.80),
            (0.035, 0.5, 0.80),
            (0.225, 0.46, 0.795),
            (0.955, 0.5, 0.60),
        ]:
            trunk = (np.abs(jx - cx - 0.008 * np.sin(20 * jy)) < 0.009) & (jy > top) & (jy < foot)
            colour = np.where(trunk[:, None], palette("3c2247")[0], colour)
        for cx, cy, rx, ry in crowns:
            dx, dy = (jx - cx) / rx, (jy - cy) / ry
            lumps = 0.14 * np.sin(5 * np.arctan2(dy, dx) + 3 * cx * 20) + 0.08 * np.sin(
                40 * jx + 37 * jy
            )
            inside = dx**2 + dy**2 < (1 + lumps) ** 2
            t = (
                0.45
                + 0.42 * dx
                - 0.33 * dy
                + 0.25 * np.sin(34 * jx + 2 * np.sin(41 * jy)) * np.sin(37 * jy)
            )
            leaf = ramp(np.clip(t, 0, 1), palette("1c2457 1f4a5e 2f7a4f 7fa83a e3b63c ffdf7a"))
            colour = np.where(inside[:, None], leaf, colour)
            angle = np.where(inside, -0.9 + 0.8 * dx, angle)
        return colour, angle

    for count, width in [(7000, 22), (12000, 16.5), (17000, 13)]:
        spots = rng.random((count, 2)) * 1.02 - 0.01
        colour, angle = sketch(*spots.T)
        grey = colour.mean(-1, keepdims=True)
        pure = np.clip(grey + (colour - grey) * 1.2, 0, 1)
        kind = rng.random(count)
        warm, cool = pure + np.array([0.10, 0.03, -0.10]), pure + np.array([-0.09, 0.0, 0.12])
        other = np.clip(1.1 * grey + 0.6 * (grey - pure), 0, 1)
        dab = np.where((kind < 0.22)[:, None], warm, pure)
        dab = np.where((kind > 0.74)[:, None], cool, dab)
        dab = np.where((kind > 0.96)[:, None], other, dab) + rng.normal(0, 0.035, (count, 1))
        dab = np.clip(dab, 0, 1)
        angle = angle + rng.normal(0, 0.25, count)
        reach = width * 0.28 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        for i, spot in enumerate(spots * side):
            path = np.stack([spot - reach[i], spot + reach[i]])
            canvas.stroke(path, width * rng.uniform(0.8, 1.2), dab[i], np.clip(dab[i] * 1.12, 0, 1))
    return finish(canvas.lit(0.22, 0.15), size)
