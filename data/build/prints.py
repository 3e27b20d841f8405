"""Style pictures made on paper: woodcut, marbling and cut planes."""

from __future__ import annotations

import numpy as np
from art import (
    Array,
    drawn,
    finish,
    mix,
    noise,
    palette,
    ramp,
    ribbon,
    seams,
    smoothstep,
    unit_grid,
)
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import CubicSpline


def draw_woodcut_waves(rng: np.random.Generator, size: int) -> Array:
    """Breaking waves before a red sun, cut in wood and printed in indigo on cream paper.

    A breaker is a tapered ribbon along a curling spine. Coordinates along and across the ribbon
    place its carved bands; foam is a union of discs and curled fingers with one common outline.
    Each flat colour shows the grain of its block.
    """
    side = 3 * size
    x, y = unit_grid(side)
    ink = palette("142850 1f4378 3f719f 7fa6b8 c3d0c2 f4e8cc")  # darkest to paper
    inks = [tuple(int(v) for v in np.round(colour * 255)) for colour in ink]  # for Pillow
    grain = noise(rng, side, 0.05, 1.0, (9, 0.5))
    wobble = noise(rng, side, 0.10, 2.0) * 0.003

    # Sky: a graded wash, the sun, and carved lines that swell away from it.
    sx, sy = 0.71, 0.235
    far = np.sqrt((x - sx) ** 2 + (y - sy) ** 2) + 0.2 * wobble
    picture = ramp(
        np.clip(1.9 * y + 0.04 * grain, 0, 1), palette("5f8ba6 a9bfb6 e9dcbd f4e2c0 f2c9a0")
    )
    cut = np.abs((far * 46) % 1 - 0.5) * 2
    swell = np.clip(0.16 + 0.62 * (far - 0.16) + 0.13 * noise(rng, side, 0.2, 1.8), 0.03, 0.62)
    tone = ramp(np.clip(1.5 * y, 0, 1), palette("2b5a86 5f8ba6 c98f6a"))
    picture = mix(picture, tone, smoothstep(0.06, -0.06, cut - swell) * (far > 0.16))
    sun = ramp(np.clip((y - sy) / 0.25 + 0.5 + 0.08 * grain, 0, 1), palette("d8402a e2583a ee8a5c"))
    picture = mix(picture, sun, smoothstep(0.142, 0.140, far))
    # A far island.
    top = (
        0.52
        - 0.10 * np.exp(-(((x - 0.86) / 0.085) ** 2))
        - 0.045 * np.exp(-(((x - 0.70) / 0.06) ** 2))
    )
    top = top + 1.2 * wobble
    island = ramp(np.clip((y - top) / 0.09 + 0.1 * grain, 0, 1), ink[[1, 2, 3]])
    lines = np.abs(((y - top) * 75 + 6 * x) % 1 - 0.5) < 0.06 + 2.0 * np.clip(y - top, 0, 0.1)
    picture = mix(picture, np.where(lines[..., None], ink[4], island), (y > top).astype(float))

    def swell_row(
        base: float, height: float, count: float, phase: float, shades: list[int]
    ) -> None:
        nonlocal picture
        a = 2 * np.pi * (count * x + phase)
        lean = a + 0.75 * np.sin(a) + 0.8 * np.sin(2.3 * x + phase)
        crest = base - height * (1 - np.abs(np.sin(lean / 2))) ** 1.5 + wobble
        depth = (y - crest) / 0.16
        band = depth * 5.5 + 0.9 * np.sin(lean) * depth + 0.25 * np.sin(5 * x + 9 * phase)
        step = np.floor(band).astype(int)
        colour = ink[np.array(shades)[np.clip(step, 0, 40) % len(shades)]]
        thin = np.abs(band % 1 - 0.5)
        width = 0.10 + 0.09 * np.sin(lean * 1.5 + step * 2.1)
        colour = mix(colour, ink[5], smoothstep(0.03, -0.03, thin - width))
        rim = smoothstep(0.075, 0.055, depth)
        colour = mix(colour, ink[5], rim)
        key = smoothstep(0.016, 0.010, np.abs(depth + 0.012)) + smoothstep(
            0.014, 0.009, np.abs(depth - 0.07)
        )
        colour = mix(colour, ink[0], np.clip(key, 0, 1))
        picture = mix(picture, colour, smoothstep(-0.028, -0.024, depth))

    def breaker(knots: list, girth: float, shades: list[int], blobs: int, fingers: int) -> None:
        nonlocal picture
        knots = np.array(knots, float)
        spine = CubicSpline(np.linspace(0, 1, len(knots)), knots)
        path = spine(np.linspace(0, 1, 40)) * side
        window, along, across = ribbon(path, 2 * girth * side, (side, side))
        taper = (1 - along) ** 0.62 * (0.80 + 0.2 * along) + 0.05
        c = across / taper + wobble[window] * 9 + 0.03 * np.sin(23 * along)
        body = smoothstep(1.0, 0.985, np.abs(c))
        curve = np.clip((c + 1) / 2, 0, 1)
        band = (curve**0.85) * 8.2 + 0.5 * np.sin(7 * along)
        step = np.clip(np.floor(band).astype(int), 0, 20)
        colour = ink[np.array(shades)[step % len(shades)]]
        thin = np.abs(band % 1 - 0.5)
        width = 0.13 * np.sin(np.pi * np.clip(along * 1.25, 0, 1)) + 0.05 * np.sin(
            19 * along + 2.4 * step
        )
        colour = mix(colour, ink[5], smoothstep(0.03, -0.03, thin - width))
        thin = np.abs(band % 1)
        colour = mix(colour, ink[0], smoothstep(0.09, 0.05, np.minimum(thin, 1 - thin)))
        colour = mix(colour, ink[0], smoothstep(0.95, 0.97, np.abs(c)))
        picture[window] = mix(picture[window], colour, body)

        # Foam along the outer edge: gather discs, then print outline, fill and inner marks.
        bend = spine(np.linspace(0, 1, 400), 1)
        plump = (girth / 0.2) ** 0.5

        def outward(t: float) -> tuple[Array, Array, float]:
            """The spine's direction at `t`, its outward normal, and half the ribbon's width."""
            tangent = bend[int(t * 399)] / np.sqrt((bend[int(t * 399)] ** 2).sum())
            half = girth * ((1 - t) ** 0.62 * (0.8 + 0.2 * t) + 0.05)
            return tangent, np.array([tangent[1], -tangent[0]]), half

        discs, marks = [], []
        for t in np.sort(rng.beta(1.3, 1.1, blobs)) * 0.66 + 0.34:
            _, normal, half = outward(t)
            spot = spine(t) + normal * half * rng.uniform(0.72, 1.06)
            r = rng.uniform(0.007, 0.019) * plump * (1.25 - 0.6 * t)
            discs.append((*spot, r))
            if rng.random() < 0.55 * (1.25 - t):
                spot = spot - 0.3 * normal * r
                marks.append((*spot, r * rng.uniform(0.35, 0.7), rng.uniform(0, 360)))
        for t in np.linspace(0.50, 0.995, fingers) + rng.normal(0, 0.006, fingers):
            tangent, normal, half = outward(min(t, 1.0))
            heading = np.arctan2(tangent[1], tangent[0]) - rng.uniform(0.5, 1.35)
            spot = spine(min(t, 1.0)) + normal * half * 0.95
            long, r = rng.uniform(0.055, 0.105) * plump, rng.uniform(0.008, 0.012)
            for j in range(26):
                f = j / 25
                discs.append((*spot, r * (1 - 0.72 * f)))
                heading += rng.uniform(0.8, 1.3) / 25 * (0.3 + 2.4 * f)
                spot = spot + long / 25 * np.array([np.cos(heading), np.sin(heading)])
                if j not in (12, 19):
                    continue
                claw, turn = spot.copy(), heading - 0.9
                for q in range(9):
                    discs.append((*claw, r * (0.5 - 0.035 * q)))
                    turn += 0.16
                    claw = claw + 0.0028 * np.array([np.cos(turn), np.sin(turn)])

        image = Image.fromarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)

        def box(cx: float, cy: float, r: float) -> list[float]:
            return [side * (cx - r), side * (cy - r), side * (cx + r), side * (cy + r)]

        for grow, shade in [(0.0026, inks[0]), (0.0, inks[5])]:
            for cx, cy, r in discs:
                pen.ellipse(box(cx, cy, r + grow), fill=shade)
        for cx, cy, r, start in marks:
            pen.arc(box(cx, cy, r), start, start + 200, fill=inks[2], width=4)
        for _ in range(blobs):  # spray
            t = rng.uniform(0.35, 1.0)
            _, normal, half = outward(t)
            spot = spine(t) + normal * (half + rng.exponential(0.035) + 0.015)
            pen.ellipse(box(*(spot + rng.normal(0, 0.012, 2)), rng.uniform(0.0012, 0.004)), inks[5])
        picture = drawn(image)

    swell_row(0.545, 0.035, 3.2, 0.10, [2, 3, 2, 1])
    swell_row(0.60, 0.060, 2.4, 0.62, [1, 2, 1, 3])
    big = [
        (-0.20, 1.20),
        (-0.06, 0.80),
        (0.06, 0.50),
        (0.22, 0.27),
        (0.40, 0.185),
        (0.555, 0.24),
        (0.60, 0.375),
        (0.53, 0.44),
    ]
    breaker(big, 0.185, [0, 1, 2, 1, 0, 2, 3, 1], 230, 22)
    small = [
        (1.25, 1.1),
        (1.10, 0.86),
        (0.98, 0.70),
        (0.86, 0.62),
        (0.765, 0.645),
        (0.735, 0.72),
        (0.775, 0.765),
    ]
    flipped = [(1 - a, b) for a, b in small]
    picture = picture[:, ::-1].copy()
    breaker(flipped, 0.10, [1, 0, 2, 1, 3, 1], 120, 14)
    picture = picture[:, ::-1].copy()
    swell_row(0.815, 0.085, 1.6, 0.30, [1, 0, 2, 0])
    swell_row(0.925, 0.075, 1.9, 0.74, [0, 1, 0, 2])

    paper = 0.03 * noise(rng, side, 0.006, 0.8) + 0.02 * noise(rng, side, 0.2, 1.5)
    fibre = smoothstep(0.9, 2.2, grain) * (0.07 + 0.06 * noise(rng, side, 0.15, 1.5))
    picture = mix(picture, ink[5], np.clip(fibre, 0, 0.25))
    return finish(picture * (1 + paper[..., None]), size)


def draw_marbling(rng: np.random.Generator, size: int) -> Array:
    """Colours floating on a bath, combed, and lifted off with paper (ebru).

    Marbling is exact geometry: a new drop of radius r moves every older point outwards so that
    its area is kept, and a tine drags the bath along a line. Each pixel is traced back through
    all steps, newest first, until it lies inside the drop that coloured it.
    """
    side = 3 * size
    grid = np.mgrid[0:side, 0:side] / side
    x, y = grid[1].ravel(), grid[0].ravel()
    colours = palette("12274a f3e7cf b5341f 1f7a80 e0a33a f3e7cf 6e1a24 0d5563 efc9a4 23406e")

    # Swirls and combs, undone last to first.
    for cx, cy, strength, reach in [(0.31, 0.64, 0.20, 0.10), (0.70, 0.33, -0.22, 0.11)]:
        dx, dy = x - cx, y - cy
        d = np.sqrt(dx**2 + dy**2) + 1e-9
        turn = strength * np.exp(-((d / reach) ** 2)) * 9
        x, y = (
            cx + dx * np.cos(turn) - dy * np.sin(turn),
            cy + dx * np.sin(turn) + dy * np.cos(turn),
        )
    x = x + 0.026 * np.sin(2 * np.pi * (y * 2.1 + 0.15))
    for teeth, pull, direction in [(15, 0.085, 1), (7, 0.17, -1)]:
        phase = x * teeth + 0.35
        away = np.abs(phase - np.round(phase)) / teeth
        y = y + direction * pull * 0.012 / (0.012 + away)
    for teeth, pull in [(6, 0.16)]:
        phase = y * teeth
        away = np.abs(phase - np.round(phase)) / teeth
        flip = np.where(np.round(phase) % 2 == 0, 1, -1)
        x = x + flip * pull * 0.016 / (0.016 + away)

    # Drops, newest first.
    picture = np.empty((side * side, 3))
    picture[:] = colours[0]
    open_pixels = np.arange(side * side)
    for step in range(1120):
        ring = step % 4
        if ring == 0:
            cx, cy = rng.uniform(-0.22, 1.22, 2)
            swell = rng.choice([0.45, 0.8, 1.15], p=[0.4, 0.4, 0.2])
            mood = rng.permutation(len(colours))
        radius = swell * [0.030, 0.040, 0.034, 0.062][ring]
        colour = colours[mood[ring]]
        dx, dy = x - cx, y - cy
        squared = dx**2 + dy**2
        inside = squared < radius**2
        tint = 1 - 0.10 * np.sqrt(squared[inside]) / radius
        picture[open_pixels[inside]] = colour * tint[:, None]
        keep = ~inside
        open_pixels, dx, dy, squared = open_pixels[keep], dx[keep], dy[keep], squared[keep]
        shrink = np.sqrt(1 - radius**2 / squared)
        x, y = cx + dx * shrink, cy + dy * shrink
    picture = picture.reshape(side, side, 3)
    fibre = noise(rng, side, 0.02, 0.8)[..., None]
    pooled = noise(rng, side, 0.12, 1.6)[..., None]
    return finish(picture * (1 + 0.022 * fibre + 0.03 * pooled), size)


def draw_facets(rng: np.random.Generator, size: int) -> Array:
    """A guitar, a bottle and fruit on a table, broken into planes.

    Lines and arcs cut the canvas into facets. Each facet looks at the same still life from a
    place of its own (shifted, turned, enlarged), is shaded from one of its edges, and has one of
    four surfaces: bare canvas, hatching, sand, or combed wood.
    """
    side = 2 * size
    x, y = unit_grid(side)
    wavy = 0.0008 * noise(rng, side, 0.05, 1.6)
    cuts = []
    for angle, offset in zip(
        np.deg2rad([8, 32, 57, 63, 84, 97, 118, 124, 149, 171, 41, 107, 22, 138]),
        [0.02, -0.20, 0.13, -0.06, 0.24, -0.17, 0.02, 0.27, -0.13, 0.19, 0.33, -0.34, 0.36, 0.34],
        strict=True,
    ):
        angle = angle + rng.normal(0, 0.04)
        cuts.append((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - offset + wavy)
    for cx, cy, r in [
        (0.44, 0.60, 0.30),
        (0.60, 0.33, 0.21),
        (0.30, 0.28, 0.17),
        (0.78, 0.74, 0.16),
    ]:
        cuts.append(np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - r + wavy)
    # A cut acts only on one side of another cut, so that planes end against each other.
    code = np.zeros((side, side), int)
    for k, cut in enumerate(cuts):
        active = cuts[(k * 5 + 3) % len(cuts)] > -0.10 if k > 3 else np.ones_like(cut, bool)
        code = code * 2 + ((cut > 0) & active)
    _, facet = np.unique(code, return_inverse=True)
    facet = facet.reshape(side, side)
    count = facet.max() + 1

    # Each facet's own view of the scene.
    shift = rng.normal(0, 0.020, (2, count))
    spin, zoom = rng.normal(0, 0.10, count), np.exp(rng.normal(0, 0.07, count))
    cos, sin = np.cos(spin)[facet] / zoom[facet], np.sin(spin)[facet] / zoom[facet]
    px, py = x - 0.5, y - 0.5
    px, py = (
        px * cos - py * sin + 0.5 + shift[0][facet],
        px * sin + py * cos + 0.5 + shift[1][facet],
    )

    pool = palette("d9c39a b99562 8a6238 5a3f2b 8f9a94 c9c4ae 5d6f76 35464f e4d8bb a8aa98")
    walls = rng.integers(0, len(pool), count)
    colour = pool[walls][facet]
    surface = rng.integers(0, 4, count)[facet]

    def put(mask: Array, shade: str, keep: float = 0.12) -> None:
        nonlocal colour
        colour = np.where(mask[..., None], mix(palette(shade)[0], colour, keep), colour)

    put(py > 0.80 + 0.10 * (px - 0.5), "6b4a2c")
    put((py > 0.84 + 0.1 * (px - 0.5)) & (np.abs(px - 0.62) < 0.20), "e9dfc6")
    bottle = (np.abs(px - 0.775) < 0.072) & (py > 0.36) & (py < 0.80)
    neck = (np.abs(px - 0.775) < 0.026) & (py > 0.17) & (py < 0.40)
    shoulder = ((px - 0.775) / 0.072) ** 2 + ((py - 0.38) / 0.075) ** 2 < 1
    put(bottle | neck | shoulder, "1f4e4d")
    put((np.abs(px - 0.775) < 0.066) & (np.abs(py - 0.575) < 0.085), "eadfbf", 0.05)
    put((np.abs(px - 0.745) < 0.010) & (py > 0.36) & (py < 0.80), "7fae9f")
    put((np.abs(px - 0.775) < 0.031) & (py > 0.165) & (py < 0.215), "a8322a", 0.0)

    # The guitar leans: its own axes run along and across the strings.
    gx = (px - 0.40) * np.cos(0.42) + (py - 0.60) * np.sin(0.42)
    gy = -(px - 0.40) * np.sin(0.42) + (py - 0.60) * np.cos(0.42)
    lower = (gx / 0.235) ** 2 + ((gy - 0.10) / 0.19) ** 2 < 1
    upper = (gx / 0.175) ** 2 + ((gy + 0.135) / 0.145) ** 2 < 1
    waist = (np.abs(gx) < 0.135) & (np.abs(gy + 0.03) < 0.12)
    body = lower | upper | waist
    rim = (gx / 0.255) ** 2 + ((gy - 0.10) / 0.21) ** 2 < 1
    rim |= (gx / 0.195) ** 2 + ((gy + 0.135) / 0.165) ** 2 < 1
    put(rim, "40281a")
    put(body, "c8823a", 0.10)
    put(body & (gx > 0.0), "9c5a26", 0.10)
    hole = np.sqrt(gx**2 + (gy + 0.02) ** 2)
    put((hole < 0.088) & (hole > 0.066), "efe0b8", 0.0)
    put(hole < 0.066, "1d1a1a", 0.0)
    put((np.abs(gx) < 0.085) & (np.abs(gy - 0.175) < 0.017), "2a1b14", 0.0)
    put((np.abs(gx) < 0.033) & (gy < -0.06) & (gy > -0.53), "2c1d18", 0.0)
    put(
        (np.abs(gx) < 0.033) & (np.abs((gy * 15) % 1 - 0.5) < 0.045) & (gy < -0.11) & (gy > -0.53),
        "d9c39a",
        0.0,
    )
    put((np.abs(gx) < 0.052) & (gy < -0.50) & (gy > -0.62), "6e3b20", 0.0)
    for k in range(5):
        at = -0.022 + 0.011 * k
        put((np.abs(gx - at) < 0.0015) & (gy < 0.175) & (gy > -0.56), "f4ead0", 0.0)
    for cx, cy, r, shade, dark in [
        (0.63, 0.785, 0.068, "c63a22", "7a1a1c"),
        (0.73, 0.80, 0.058, "dd9a2b", "9a5a18"),
        (0.545, 0.825, 0.05, "7d8f3a", "43552a"),
    ]:
        d = np.sqrt((px - cx) ** 2 + (py - cy) ** 2)
        put(d < r + 0.006, "2a1b14", 0.0)
        put(d < r, dark, 0.0)
        put(
            (d < r) & (np.sqrt((px - cx + 0.35 * r) ** 2 + (py - cy + 0.35 * r) ** 2) < 0.95 * r),
            shade,
            0.0,
        )
    lines = (np.abs((py * 62) % 1 - 0.5) < 0.20) & (noise(rng, side, 0.004, 0.9, (3, 0.6)) > -0.5)
    put((np.abs(px - 0.16) < 0.10) & (np.abs(py - 0.70) < 0.13), "ddd3b6", 0.1)
    put((np.abs(px - 0.16) < 0.085) & (np.abs(py - 0.70) < 0.11) & lines, "4a4640", 0.2)

    # Shade every facet from one of its cuts, then give it a surface.
    lead = rng.integers(0, len(cuts), count)[facet]
    distance = np.abs(np.choose(lead, cuts))
    reach = ndimage.maximum(distance, facet, np.arange(count))[facet]
    low = ndimage.minimum(distance, facet, np.arange(count))[facet]
    t = (distance - low) / (reach - low + 1e-6)
    shade = 0.62 + 0.50 * t
    warm = np.where((np.arange(count) % 3 == 0)[facet], 1.0, 0.0)
    hatch_angle = rng.uniform(0, np.pi, count)[facet]
    run = (x * np.cos(hatch_angle) + y * np.sin(hatch_angle)) * 120 + 0.6 * noise(
        rng, side, 0.1, 1.6
    )
    hatch = smoothstep(0.30, 0.12, np.abs(run % 1 - 0.5) + 0.18 * t) * (surface == 1)
    sand = (noise(rng, side, 0.003, 0.7) > 0.9) * (surface == 2)
    comb = np.sin(run * 1.1 + 3 * noise(rng, side, 0.12, 2.0)) * (surface == 3)
    picture = colour * shade[..., None]
    picture = mix(picture, palette("2b211b")[0], 0.62 * hatch)
    picture = mix(picture, palette("f2e6c8")[0], 0.35 * sand)
    picture *= (1 + 0.10 * comb)[..., None]
    picture = mix(picture, picture * np.array([1.06, 1.0, 0.88]), warm)
    border = seams(facet)
    weight = rng.choice([0.4, 1.2, 2.6], count, p=[0.3, 0.45, 0.25])[facet]
    picture = mix(
        picture, palette("1c1613")[0], 0.85 * smoothstep(weight + 0.9, weight - 0.6, border)
    )
    picture = mix(picture, palette("f7edd2")[0], 0.28 * smoothstep(9, 3, border) * (t > 0.8))
    weave = np.sin(x * side * np.pi / 2) * np.sin(y * side * np.pi / 2) * 0.02
    paint = 0.035 * noise(rng, side, 0.02, 0.9, (1.5, 0.5)) + 0.02 * noise(rng, side, 0.3, 1.5)
    return finish(picture * (1 + weave + paint)[..., None], size)
