"""The style picture made with ink and water."""

from __future__ import annotations

import numpy as np
from art import Array, finish, mix, noise, palette, ribbon, smoothstep, unit_grid


def draw_ink_mountains(rng: np.random.Generator, size: int) -> Array:
    """Peaks, mist and pines in ink on fibrous paper, with a breath of ochre and indigo.

    Every layer only darkens the paper. A range is a soft wash that fades into mist, a wet edge
    where pigment gathered, and dry strokes that run down its flanks; dots of moss sit on the
    ridges.
    """
    side = 2 * size
    x, y = unit_grid(side)
    fibre = noise(rng, side, 0.012, 0.9, (2.5, 0.6)) + noise(rng, side, 0.012, 0.9, (0.6, 2.5))
    grit = noise(rng, side, 0.004, 0.6)
    stain = noise(rng, side, 0.35, 1.8)
    sheet = palette("efe3c6")[0] * (1 + 0.012 * fibre + 0.02 * stain)[..., None]
    load = np.zeros((side, side, 3))  # how much light the ink takes, a colour channel at a time
    black, blue, earth = -np.log(palette("1d1f26 35506b b5763f"))

    def wash(amount: Array, pigment: Array) -> None:
        nonlocal load
        load += (np.clip(amount, 0, 3) * (1 + 0.10 * grit + 0.08 * fibre))[..., None] * pigment

    wash(0.20 * smoothstep(0.42, 0.0, y + 0.03 * stain), blue)
    drift = noise(rng, side, 0.16, 1.7, (2.6, 0.8)) + 0.04 * fibre
    bank = smoothstep(0.50, 0.30, y)
    wash(0.17 * bank * smoothstep(-0.3, 0.5, drift), blue)
    wash(0.16 * bank * np.exp(-(((drift - 0.05) / 0.10) ** 2)), blue)
    wash(0.12 * bank * smoothstep(0.7, 1.3, drift), black)
    moon = np.sqrt((x - 0.72) ** 2 + (y - 0.155) ** 2) + 0.0008 * fibre
    wash(0.30 * np.exp(-(((moon - 0.075) / 0.10) ** 2)) * smoothstep(0.068, 0.076, moon), blue)
    load *= (1 - 0.85 * smoothstep(0.076, 0.069, moon))[..., None]

    line = np.arange(side) / side
    ranges = [
        (
            0.50,
            0.30,
            [(0.34, 0.34, 0.10), (0.55, 0.20, 0.07), (0.93, 0.26, 0.09), (0.10, 0.18, 0.06)],
        ),
        (
            0.60,
            0.50,
            [(0.17, 0.42, 0.075), (0.42, 0.20, 0.06), (0.82, 0.27, 0.07), (0.66, 0.12, 0.05)],
        ),
        (
            0.76,
            0.72,
            [(0.04, 0.30, 0.075), (0.29, 0.26, 0.055), (0.94, 0.34, 0.075), (0.76, 0.13, 0.06)],
        ),
        (
            1.06,
            0.95,
            [(0.00, 0.36, 0.09), (0.15, 0.29, 0.06), (1.0, 0.36, 0.09), (0.83, 0.19, 0.06)],
        ),
    ]
    crests = []
    for foot, depth, peaks in ranges:
        pigment, tint = (blue, earth) if depth < 0.6 else (black, earth)
        crest = np.full(side, foot)
        for cx, tall, wide in peaks:
            d = np.abs(line - cx) / wide
            crest = np.minimum(
                crest, foot - tall * (0.72 * np.exp(-(d**1.5)) + 0.28 * np.exp(-((1.7 * d) ** 6)))
            )
        rough = np.interp(line, np.linspace(0, 1, 27), rng.normal(0, 0.018, 27))
        rough += np.interp(line, np.linspace(0, 1, 90), rng.normal(0, 0.0075, 90))
        rough += np.interp(line, np.linspace(0, 1, 400), rng.normal(0, 0.0022, 400))
        crest = crest + rough
        crests.append(crest)
        down = y - crest[None, :] + 0.0015 * fibre
        solid = smoothstep(0.0, 0.11, foot - crest)[None, :]  # between peaks a range sinks in mist
        inside = smoothstep(-0.002, 0.003, down) * solid
        mist = np.exp(-np.clip(down, 0, 1) / (0.085 + 0.075 * depth) * (1 + 0.22 * stain))
        load *= (1 - inside * 0.75 * smoothstep(0.0, 0.05, down))[..., None]  # nearer hides farther
        wash(inside * mist * (0.10 + 0.30 * depth + 0.45 * depth**4), pigment)
        wash(inside * mist * 0.24 * smoothstep(-0.4, 1.2, noise(rng, side, 0.2, 1.8)), tint)
        wash(inside * (0.10 + 0.35 * depth) * np.exp(-(((down - 0.002) / 0.006) ** 2)), black)
        # Dry strokes down the flanks: noise stretched along the fall line of the crest.
        fall = np.gradient(np.interp(line, line[::16], crest[::16]), 1 / side)
        lean = (
            x
            + 0.5
            * np.clip(down, 0, 0.4)
            * np.sign(fall)[None, :]
            * np.minimum(np.abs(fall), 1.6)[None, :]
        )
        strokes = noise(rng, side, 0.035, 1.0, (0.30, 3.2))
        cols = (lean * side).astype(int) % side
        strokes = strokes[np.arange(side)[:, None], cols]
        light = 0.35 * np.tanh(2 * fall)[None, :]
        dry = smoothstep(
            0.15,
            0.9,
            strokes + light + 0.30 * grit - 1.6 * np.clip(down / (0.2 + 0.1 * depth), 0, 1),
        )
        wash(inside * dry * (0.16 + 0.80 * depth) * np.clip(mist * 1.6, 0, 1), black)
        if depth < 0.4:
            continue
        dots = rng.random((int(420 * depth), 2))
        for u, w in dots:
            px = u * side
            py = (crest[int(px)] + (0.10 * w**3) - 0.004) * side
            if solid[0, int(px)] < 0.5:
                continue
            reach = rng.uniform(1.2, 2.2 + 1.6 * depth)
            found = ribbon(
                np.array([[px - reach, py + 0.3], [px + reach, py - 0.5]]),
                2.2 * reach,
                (side, side),
            )
            if found is not None:
                window, _, across = found
                load[window] += (smoothstep(1.0, 0.5, np.abs(across)) * 0.55 * depth)[
                    ..., None
                ] * black

    def ink(path: Array, width: float, dark: float, dry: float = 0.3) -> None:
        found = ribbon(path * side, width * side, (side, side))
        if found is None:
            return
        window, along, across = found
        press = 0.35 + 0.65 * np.sin(np.pi * np.clip(along * 0.85 + 0.12, 0, 1))
        edge = np.abs(across) / press
        tooth = dry * (grit[window] * 0.5 + fibre[window] * 0.35) * along
        cover = smoothstep(1.0, 0.8, edge + tooth) * (0.8 + 0.35 * smoothstep(0.5, 0.95, edge))
        load[window] = np.maximum(load[window], (dark * cover)[..., None] * black)

    def needles(px: float, py: float, reach: float) -> None:
        for angle in np.linspace(-2.95, -0.2, 17) + rng.normal(0, 0.05, 17):
            tip = np.array([px + reach * np.cos(angle), py + 0.72 * reach * np.sin(angle)])
            base = np.array([px + 0.1 * reach * np.cos(angle), py])
            bend = (base + tip) / 2 + [0, -0.05 * reach]
            ink(np.array([base, bend, tip]), 0.0030, rng.uniform(0.75, 1.1), 0.1)

    def pine(foot: tuple[float, float], tall: float, lean: float) -> None:
        s = np.linspace(0, 1, 9)
        trunk = np.stack(
            [foot[0] + lean * s + 0.10 * tall * np.sin(5.5 * s), foot[1] - tall * s], axis=-1
        )
        ink(trunk, 0.085 * tall, 1.0, 0.7)
        for k in range(15):
            t = 0.36 + 0.62 * k / 14
            start = np.array([np.interp(t, s, trunk[:, 0]), np.interp(t, s, trunk[:, 1])])
            way = 1 if k % 2 else -1
            long = tall * rng.uniform(0.20, 0.40) * (1.15 - 0.75 * t)
            end = start + np.array([way * long, -0.06 * tall * rng.uniform(-0.6, 1)])
            ink(
                np.array([start, (start + end) / 2 + [0, 0.03 * tall], end]),
                0.022 * tall,
                0.95,
                0.5,
            )
            for f in np.linspace(0.3, 1.05, 4):
                px, py = start + f * (end - start)
                needles(px + rng.normal(0, 0.006), py - 0.004, tall * rng.uniform(0.075, 0.115))

    for px, tall, lean in [(0.150, 0.40, 0.085), (0.055, 0.30, -0.02), (0.955, 0.33, -0.085)]:
        pine((px, crests[3][int(px * side)] + 0.03), tall, lean)
    # Water, a boat, birds, and the seal.
    still = smoothstep(0.74, 0.90, y) * smoothstep(
        -0.1, 0.8, noise(rng, side, 0.10, 1.3, (3.5, 0.35))
    )
    low = smoothstep(0.0, 0.02, crests[3][None, :] - y)
    wash(0.42 * still * low, blue)
    ink(np.array([[0.47, 0.845], [0.52, 0.856], [0.57, 0.853], [0.605, 0.838]]), 0.014, 1.1, 0.1)
    ink(np.array([[0.515, 0.846], [0.53, 0.826], [0.553, 0.826], [0.567, 0.846]]), 0.008, 0.9, 0.1)
    ink(np.array([[0.590, 0.845], [0.588, 0.826], [0.592, 0.812]]), 0.007, 1.0, 0.1)
    ink(np.array([[0.45, 0.870], [0.53, 0.874], [0.62, 0.869]]), 0.006, 0.45, 0.8)
    for bx, by, r in [
        (0.50, 0.10, 0.016),
        (0.54, 0.125, 0.012),
        (0.465, 0.135, 0.010),
        (0.58, 0.095, 0.009),
    ]:
        ink(
            np.array([[bx - r, by - 0.35 * r], [bx - 0.4 * r, by - 0.55 * r], [bx, by]]),
            0.0035,
            0.9,
            0.1,
        )
        ink(
            np.array([[bx, by], [bx + 0.4 * r, by - 0.6 * r], [bx + r, by - 0.45 * r]]),
            0.0035,
            0.9,
            0.1,
        )

    picture = sheet * np.exp(-load)
    seal = (np.abs(x - 0.905) < 0.027) & (np.abs(y - 0.915) < 0.034)
    cut = (np.abs(np.abs(x - 0.905) - 0.010) < 0.0026) & (np.abs(y - 0.915) < 0.024)
    cut |= (np.abs((np.abs(y - 0.915) * 62) % 1 - 0.5) < 0.13) & (np.abs(x - 0.905) < 0.019)
    print_ = seal & ~cut & (grit + 0.6 * fibre > -1.7)
    return finish(mix(picture, palette("b3271e")[0] * sheet, 0.9 * print_), size)
