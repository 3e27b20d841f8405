"""Style pictures after crafts: leaded glass, woodcut, mosaic and facets."""

from __future__ import annotations

import numpy as np
from art import Array, finish, mix, noise, palette, ramp, relief, seams, smoothstep, unit_grid
from scipy import ndimage
from scipy.spatial import cKDTree


def draw_stained_glass(rng: np.random.Generator, size: int) -> Array:
    """Sunrise over hills and a river, in leaded glass with light behind it.

    Each region of the design (sun, rays, hills, water, a border) is cut into Voronoi panes in
    coordinates of its own, so that the cuts run with the drawing. A pane has one glass colour,
    seeds and streaks in the glass, a glow towards its middle, and rounded lead round it.
    """
    side = 4 * size // 2
    x, y = unit_grid(side)
    sx, sy = 0.60, 0.47
    d = np.sqrt((x - sx) ** 2 + (y - sy) ** 2)
    turn = np.arctan2(x - sx, sy - y)  # the cut of the angle lies below the sun, behind the hills
    far = 0.56 + 0.05 * np.sin(5.5 * x + 0.4) + 0.02 * np.sin(15 * x)
    mid = 0.66 + 0.06 * np.sin(4.4 * x + 3.2) + 0.012 * np.sin(17 * x)
    near = 0.79 + 0.075 * np.sin(4.6 * x + 5.9)
    middle = 0.60 - 0.32 * (y - 0.62) + 0.085 * np.sin(15 * np.clip(y - 0.52, 0, 1) ** 0.8)
    river = (np.abs(x - middle) < 0.012 + 0.32 * np.clip(y - 0.6, 0, 1) ** 1.15) & (y > mid)

    region = np.zeros((side, side), int)
    u, v = turn * 2.1, 5.2 * d**0.75
    region[d < 0.30] = 1
    region[d < 0.125] = 2
    region[d < 0.052] = 8
    for k, line in enumerate([far, mid, near]):
        below = y > line
        region[below] = 3 + k
        u, v = np.where(below, 5 * x, u), np.where(below, 15 * (y - line) + 9 * k, v)
    region[river] = 6
    u = np.where(river, 2.4 * (x - middle) / (0.02 + np.clip(y - 0.6, 0, 1)), u)
    v = np.where(river, 11 * np.clip(y - 0.6, 0.0, 1) ** 0.7, v)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    frame = edge < 0.055
    region[frame] = 7
    u = np.where(frame, 9 * np.maximum(np.abs(x - 0.5), 0) * np.sign(x - 0.5), u)
    v = np.where(frame, 9 * y, v)

    labels = np.zeros((side, side), int)
    for k in range(9):
        inside = region == k
        uv = np.stack([u[inside], v[inside]], axis=-1)
        low, high = uv.min(0), uv.max(0)
        if k == 8:  # the heart of the sun is one pane
            labels[inside] = k * 4096
            continue
        density = [2.6, 2.4, 1.3, 2.2, 1.9, 1.9, 2.4, 1.7][k]
        cells = np.maximum(((high - low) * density).astype(int), 1)
        gx, gy = np.meshgrid(np.arange(cells[0] + 2) - 0.5, np.arange(cells[1] + 2) - 0.5)
        gx = gx + 0.5 * (np.arange(cells[1] + 2) % 2)[:, None]
        seeds = np.stack([gx.ravel(), gy.ravel()], axis=-1) + rng.uniform(-0.3, 0.3, (gx.size, 2))
        seeds = low + seeds / cells * (high - low)
        labels[inside] = k * 4096 + cKDTree(seeds).query(uv)[1]

    _, panes = np.unique(labels, return_inverse=True)
    panes = panes.reshape(side, side)
    count = panes.max() + 1
    index = np.arange(count)
    kind = ndimage.maximum(region, panes, index).astype(int)
    where = np.array(ndimage.center_of_mass(np.ones_like(panes), panes, index)) / side
    cy, cx = where.T
    reach = np.sqrt((cx - sx) ** 2 + (cy - sy) ** 2)
    families = [
        palette("f08a3c d9487a 7b3fa0 3552b8 1d3f9a 14307c"),
        palette("ffe27a fdb73e f58a2c ee6a35"),
        palette("fff6c8 ffe680 ffcf4a"),
        palette("4a4fa8 5b6fc0 7d86cf 8a5fb0"),
        palette("0f7a6c 199b7a 43b36b 0d6680"),
        palette("1c6b34 3f9640 7fb83a b9cf3f"),
        palette("1fa5cf 69c9e4 c2ecf2 0f7cb8"),
        palette("8f1230 c42139 3a1463 8f1230"),
        palette("fffbe2 fff6c8"),
    ]
    tone = rng.random(count)
    tone = np.where(
        kind == 0, np.clip((reach - 0.27) / 0.45 + rng.normal(0, 0.09, count), 0, 1), tone
    )
    tone = np.where(
        kind == 1, np.clip((reach - 0.13) / 0.17 + rng.normal(0, 0.12, count), 0, 1), tone
    )
    glass = np.zeros((count, 3))
    for k, family in enumerate(families):
        glass[kind == k] = ramp(tone[kind == k], family)
    glass *= rng.uniform(0.82, 1.12, (count, 1))

    distance = seams(panes)
    streaks = noise(rng, side, 0.05, 1.1, (0.35, 1.6))
    ripples = noise(rng, side, 0.012, 1.6)
    shift = (rng.integers(0, side, (count, 2)))[panes]
    rows, cols = np.mgrid[0:side, 0:side]
    streaks = streaks[(rows + shift[..., 0]) % side, (cols + shift[..., 1]) % side]
    depth = np.clip(distance / 34, 0, 1)
    light = 0.66 + 0.44 * np.sqrt(depth) + 0.12 * streaks + 0.05 * ripples
    light += 0.30 * np.exp(-((np.sqrt((x - sx) ** 2 + (y - sy) ** 2) / 0.33) ** 2))
    picture = glass[panes] ** 1.15 * light[..., None]
    picture = mix(
        picture,
        np.ones(3),
        0.16 * smoothstep(0.7, 2.6, streaks) + 0.10 * smoothstep(1.2, 2.6, ripples),
    )
    picture *= (0.93 + 0.11 * relief(ripples * 1.2, 135, 1.0))[..., None]

    outline = seams(region)
    half = np.where(outline < 9, 6.0, 3.6)
    distance = np.minimum(distance, np.maximum(outline - 2.7, 0))
    lead = smoothstep(1.0, -1.0, distance - half)
    bar = np.sqrt(np.clip(1 - (distance / (half + 1)) ** 2, 0, 1)) * half
    metal = (
        palette("191a20")[0]
        * relief(ndimage.gaussian_filter(bar, 1), 135, 0.8, 1.2)[..., None]
        * 1.25
    )
    picture = mix(np.clip(picture, 0, 1), metal, lead)
    bloom = ndimage.gaussian_filter(picture, (14, 14, 0))
    return finish(1 - (1 - np.clip(picture, 0, 1)) * (1 - 0.16 * bloom), size)


def lattice(
    angle: Array, spacing: float, region: Array, rng: np.random.Generator, rounds: int = 24
):
    """Pack square tiles whose sides follow `angle` (Lloyd's method in the square metric).

    Returns:
        `(label, u, v, spots)`: the tile of every pixel, the pixel's place in the tile's own axes in
        pixels, and the tile centres.
    """
    side = angle.shape[0]
    rows, cols = np.mgrid[0:side, 0:side]
    pixels = np.stack([cols.ravel(), rows.ravel()], axis=-1).astype(float)
    count = int(side * side / spacing**2)
    spots = rng.random((count, 2)) * side
    for turn in range(rounds):
        step = 2 if turn < rounds - 1 else 1
        some = pixels.reshape(side, side, 2)[::step, ::step].reshape(-1, 2)
        near = cKDTree(spots).query(some, k=7)[1]
        at = np.clip(spots.astype(int), 0, side - 1)
        a, home = angle[at[:, 1], at[:, 0]], region[at[:, 1], at[:, 0]]
        cos, sin = np.cos(a), np.sin(a)
        best = np.full(len(some), np.inf)
        label = np.zeros(len(some), int)
        here = region[::step, ::step].ravel()
        for k in range(near.shape[1]):
            n = near[:, k]
            dx, dy = some[:, 0] - spots[n, 0], some[:, 1] - spots[n, 1]
            reach = np.maximum(np.abs(dx * cos[n] + dy * sin[n]), np.abs(dy * cos[n] - dx * sin[n]))
            reach = reach + np.where(home[n] != here, 1.1 * spacing, 0)
            better = reach < best
            best[better], label[better] = reach[better], n[better]
        if step == 1:
            break
        total = np.maximum(np.bincount(label, minlength=count), 1)
        spots = np.stack([np.bincount(label, some[:, c], count) / total for c in (0, 1)], axis=-1)
    dx, dy = some[:, 0] - spots[label, 0], some[:, 1] - spots[label, 1]
    u, v = dx * cos[label] + dy * sin[label], dy * cos[label] - dx * sin[label]
    return label.reshape(side, side), u.reshape(side, side), v.reshape(side, side), spots


def draw_mosaic(rng: np.random.Generator, size: int) -> Array:
    """Two fish circling a gold sun in a teal sea, in glass and gold tesserae.

    Signed distances give the drawing, their gradients turn the tiles so that courses run along
    every contour, and each tile is tilted a little in its mortar, so that gold flickers.
    """
    side = 2 * size
    x, y = unit_grid(side)
    x, y = x - 0.5, y - 0.5

    def fish(flip: float) -> tuple[Array, Array, Array]:
        fx, fy = flip * x, flip * y
        r, a = np.sqrt(fx**2 + fy**2), np.arctan2(fy, fx)
        s = (a + 2.55) / 2.45
        body = (
            np.abs(r - 0.315)
            - 0.105 * np.clip(np.sin(np.pi * np.clip(s, 0, 1) ** 0.72), 0, 1) ** 0.85
        )
        body = np.where((s < 0) | (s > 1), 0.2, body)
        t = (s - 0.93) / 0.30
        tail = np.abs(r - 0.315) - (
            0.012 + 0.085 * np.clip(t, 0, 1) - 0.055 * np.clip(t - 0.55, 0, 1)
        )
        notch = np.abs(r - 0.315) < 0.12 * np.clip(t - 0.55, 0, 1) * 1.6
        tail = np.where((t < 0) | (t > 1) | notch, 0.2, tail)
        f = (s - 0.40) / 0.22
        fin = np.abs(r - 0.390 - 0.02 * f) - 0.037 * np.sin(np.pi * np.clip(f, 0, 1)) ** 0.7
        fin = np.where((f < 0) | (f > 1), 0.2, fin)
        return np.minimum(np.minimum(body, tail), fin), s, (r - 0.315) / 0.105

    r, turn = np.sqrt(x**2 + y**2), np.arctan2(y, x)
    first, s1, w1 = fish(1.0)
    second, s2, w2 = fish(-1.0)
    region = np.zeros((side, side), int)
    rays = 0.125 + 0.035 * np.abs(((turn * 14 / (2 * np.pi)) % 1) * 2 - 1)
    region[r < rays] = 1
    region[r < 0.092] = 2
    region[first < 0] = 3
    region[second < 0] = 3
    edge = 0.5 - np.maximum(np.abs(x), np.abs(y))
    region[edge < 0.062] = 4
    region[edge < 0.018] = 5

    outside = ndimage.distance_transform_edt(region == 0)
    field = np.minimum(outside / side, 0.075) + 0.20 * r + 0.016 * np.sin(9 * x + 3 * np.sin(7 * y))
    field = np.where(region == 3, np.minimum(first, second) * 0.4 + 0.5 * r, field)
    field = np.where((region == 1) | (region == 2), r, field)
    field = np.where(region >= 4, edge, field)
    field = ndimage.gaussian_filter(field, 4)
    gy, gx = np.gradient(field)
    angle = np.arctan2(gy, gx) + np.pi / 2
    label, u, v, spots = lattice(angle, 15.5, region, rng)

    at = np.clip(spots.astype(int), 0, side - 1)
    pick = lambda values: values[at[:, 1], at[:, 0]]  # noqa: E731
    kind, count = pick(region), len(spots)
    jitter = rng.normal(0, 1, count)
    colour = np.zeros((count, 3))
    sea = palette("06323f 0a5563 11798a 2fa3a6 7fcabf")
    wave = 0.5 + 0.5 * np.sin(pick(field) * 150)
    colour[kind == 0] = ramp(np.clip(0.10 + 0.80 * wave + 0.07 * jitter, 0, 1), sea)[kind == 0]
    halo = (kind == 0) & (pick(outside) < 17)
    colour[halo] = ramp(np.clip(0.8 + 0.1 * jitter, 0, 1), palette("c9a24a f0dca0 fdf3d3"))[halo]
    gold = palette("8a5a16 c58f26 e9bd4e ffe9a3")
    shine = np.clip(0.55 + 0.24 * jitter, 0, 1)
    colour[kind == 1] = ramp(shine, palette("a3301b d4572a ee8a3a"))[kind == 1]
    colour[kind == 2] = ramp(np.clip(1.05 - 6 * pick(r) + 0.2 * jitter, 0, 1), gold)[kind == 2]
    along = np.where(pick(first) < 0, pick(s1), pick(s2))
    wide = np.where(pick(first) < 0, pick(w1), pick(w2))
    scales = 0.5 + 0.5 * np.sin(along * 46) * np.cos(wide * 7)
    skin = ramp(
        np.clip(0.22 + 0.5 * scales + 0.14 * jitter, 0, 1),
        palette("6b1616 b3311f e2672c f4a742 fbe2a0"),
    )
    skin = np.where((wide < -0.42)[:, None], ramp(shine, palette("d9b98a f3e3c0 fff8e6")), skin)
    skin = np.where((along > 0.95)[:, None], ramp(shine, palette("7a1420 b3311f e08a2e")), skin)
    skin = np.where((along < 0.20)[:, None], ramp(shine, palette("d98b2e f0b84e fbe3a4")), skin)
    skin = np.where(
        (np.abs(along - 0.215) < 0.016)[:, None], ramp(shine, palette("4a0f14 7a1a1c")), skin
    )
    skin = np.where((wide > 0.72)[:, None], ramp(shine, palette("7a1a1c a82c22 c9482a")), skin)
    colour[kind == 3] = skin[kind == 3]
    key = (np.floor((pick(x) + pick(y)) * 22) + np.floor((pick(x) - pick(y)) * 22)) % 2
    sx, sy = pick(x), pick(y)
    for flip in (1, -1):
        eye = np.sqrt((flip * sx + 0.2245) ** 2 + (flip * sy + 0.2487) ** 2)
        colour[(eye < 0.025)] = palette("fffaf0")[0]
        colour[(eye < 0.0125)] = palette("0c1018")[0]
    colour[kind == 4] = np.where(
        key[:, None] > 0, ramp(shine, gold), ramp(shine, palette("14213d 24407a 3a62a6"))
    )[kind == 4]
    colour[kind == 5] = ramp(shine, palette("5a1018 8f1f26 b53a33"))[kind == 5]
    colour *= 1 + 0.07 * rng.normal(0, 1, (count, 1)) + 0.025 * rng.normal(0, 1, (count, 3))

    gap = np.minimum(seams(label), 8.3 - np.maximum(np.abs(u), np.abs(v)))
    tile = smoothstep(0.5, 1.5, gap + 0.45 * noise(rng, side, 0.008, 1.2))
    tilt = rng.normal(0, 0.085, (2, count))
    lean = tilt[0][label] * (np.mgrid[0:side, 0:side][1] - spots[label, 0])
    lean += tilt[1][label] * (np.mgrid[0:side, 0:side][0] - spots[label, 1])
    dome = np.sqrt(np.clip(gap, 0, 4) / 4) * 3.2 + lean + 0.25 * noise(rng, side, 0.012, 1.3)
    metal = (
        np.isin(kind, [1, 2]) | ((kind == 4) & (key > 0)) | halo | ((kind == 3) & (along < 0.20))
    )
    light = relief(ndimage.gaussian_filter(dome, 0.7), 130, 0.75, 0.0)
    glint = np.clip(relief(lean * 1.3, 130, 2.2, 1.0) - 1, 0, 1) * metal[label]
    face = colour[label] * (0.40 + 0.60 * light)[..., None]
    face = mix(face, palette("fff4c9")[0], 0.55 * glint)
    mortar = palette("4a443f")[0] * (1 + 0.18 * noise(rng, side, 0.01, 0.9))[..., None]
    return finish(mix(mortar, np.clip(face, 0, 1), tile), size)
