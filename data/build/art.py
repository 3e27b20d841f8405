"""Tools shared by the style pictures: colour, noise, strokes, cells, light and paper.

Positions are `(x, y)` in pixels of a square working canvas unless a docstring says otherwise,
colours are float arrays in [0, 1], and every random choice comes from the generator passed in.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray


def palette(codes: str) -> Array:
    """Turn `"1b2a49 f2d16b"` into an `(n, 3)` float array in [0, 1]."""
    return np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in codes.split()]) / 255


def ramp(t: Array, colours: Array) -> Array:
    """Read the colour ramp `colours` `(n, 3)` at `t` in [0, 1]; returns `t.shape + (3,)`."""
    knots = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, knots, colours[:, c]) for c in range(3)], axis=-1)


def mix(a: Array, b: Array, amount: Array | float) -> Array:
    """Blend `a` into `b`; an `amount` with one axis less is spread over the colour axis."""
    amount = np.asarray(amount, dtype=float)
    if amount.ndim and amount.ndim < max(np.ndim(a), np.ndim(b)):
        amount = amount[..., None]
    return a + (b - a) * amount


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high` (or fall, if `low > high`)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def unit_grid(size: int) -> tuple[Array, Array]:
    """Pixel centres of a `size` x `size` canvas as `x, y` in [0, 1]."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    return x, y


def noise(
    rng: np.random.Generator,
    size: int,
    scale: float,
    roughness: float = 1.5,
    stretch: tuple[float, float] = (1, 1),
) -> Array:
    """Cloudy noise with mean 0 and deviation 1, shaped in the frequency domain.

    Args:
        rng: source of the white noise.
        size: side of the result in pixels.
        scale: size of the largest blobs, as a fraction of the side.
        roughness: fall-off of the spectrum; small is grainy, large is smooth.
        stretch: how much longer the blobs are along x and y.
    """
    white = np.fft.rfft2(rng.standard_normal((size, size)))
    fx = np.fft.rfftfreq(size, 1 / size)[None, :] * stretch[0]
    fy = np.fft.fftfreq(size, 1 / size)[:, None] * stretch[1]
    spectrum = ((fx**2 + fy**2) * scale**2 + 1) ** (-roughness)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(white * spectrum, s=(size, size))
    return field / field.std()


def relief(height: Array, azimuth: float = 135, strength: float = 1.0, gloss: float = 0.0) -> Array:
    """Light a height map (in pixels) from a low lamp; returns a factor around 1.

    `azimuth` is where the light comes from, in degrees, 90 being the top of the picture.
    """
    gy, gx = np.gradient(height * strength)
    length = np.sqrt(gx**2 + gy**2 + 1)
    a = np.deg2rad(azimuth)
    lamp = np.array([np.cos(a), -np.sin(a), 1.1])
    lamp /= np.sqrt((lamp**2).sum())
    facing = (-gx * lamp[0] - gy * lamp[1] + lamp[2]) / length
    half = lamp + np.array([0, 0, 1])
    half /= np.sqrt((half**2).sum())
    shine = np.clip((-gx * half[0] - gy * half[1] + half[2]) / length, 0, 1) ** 40
    flat = half[2] ** 40
    return np.clip(facing / lamp[2], 0, 2) + gloss * np.clip(shine - flat, 0, 1)


def follow(angle, starts: Array, length: Array, steps: int) -> Array:
    """Walk from `starts` `(n, 2)` along `angle(points)`; returns paths `(n, steps + 1, 2)`.

    The start is the middle of the path, so that a stroke is centred on its point.
    """
    step = np.broadcast_to(length, len(starts))[:, None] / steps
    halves = []
    for sign in (-1, 1):
        point, half = starts.astype(float), []
        for _ in range(steps // 2):
            a = angle(point)
            point = point + sign * step * np.stack([np.cos(a), np.sin(a)], axis=-1)
            half.append(point)
        halves.append(half)
    return np.stack([*halves[0][::-1], starts.astype(float), *halves[1]], axis=1)


def ribbon(path: Array, width: float, shape: tuple[int, ...]):
    """Coordinates of the pixels within `width / 2` of a path.

    Returns:
        `(window, along, across)`, where `window` is a pair of slices, `along` runs from 0 to 1 and
        `across` from -1 to 1 inside the ribbon; None if the ribbon misses the canvas.
    """
    low = np.maximum(np.floor(path.min(0) - width / 2).astype(int) - 1, 0)
    high = np.minimum(np.ceil(path.max(0) + width / 2).astype(int) + 2, shape[1::-1])
    if (high <= low).any():
        return None
    x = np.arange(low[0], high[0])[None, None, :]
    y = np.arange(low[1], high[1])[None, :, None]
    ax, ay = path[:-1, 0, None, None], path[:-1, 1, None, None]
    dx, dy = (np.diff(path, axis=0).T)[:, :, None, None]
    px, py = x - ax, y - ay
    t = np.clip((px * dx + py * dy) / (dx**2 + dy**2 + 1e-9), 0, 1)
    ex, ey = px - t * dx, py - t * dy
    squared = ex**2 + ey**2
    nearest = squared.argmin(0)[None]
    side = np.sign(np.take_along_axis(dx * py - dy * px, nearest, 0)[0])
    distance = np.sqrt(np.take_along_axis(squared, nearest, 0)[0])
    along = (nearest[0] + np.take_along_axis(t, nearest, 0)[0]) / (len(path) - 1)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    return window, along, side * distance * 2 / width


class Bristles:
    """Oil paint: strokes with bristle marks that also build a height map.

    A stroke covers what lies below it, runs dry towards its end, and carries two colours that its
    bristles never quite mix. `lit()` shows the canvas under a low lamp.
    """

    def __init__(self, rng: np.random.Generator, size: int, ground: Array) -> None:
        self.rng = rng
        self.colour = np.empty((size, size, 3))
        self.colour[:] = ground
        self.height = np.zeros((size, size))
        marks = ndimage.gaussian_filter1d(rng.standard_normal((64, 96)), 1.3, axis=1)
        self.marks = marks / marks.std()

    def stroke(self, path: Array, width: float, first: Array, second: Array) -> None:
        """Lay one stroke along `path` in the colours `first` and `second`."""
        found = ribbon(path, width, self.height.shape)
        if found is None:
            return
        window, along, across = found
        marks = self.marks[self.rng.integers(64)]
        bristle = np.interp(across, np.linspace(-1, 1, 96), marks)
        edge = 1 - np.abs(across)
        cover = smoothstep(0, 0.16, edge + 0.06 * bristle)
        cover *= smoothstep(0, 0.25, 1.02 - along + 0.07 * bristle)
        body = (0.55 + 0.17 * bristle) * np.clip(edge * 4, 0, 1) * (1 - 0.4 * along)
        ridge = np.exp(-(((np.abs(across) - 0.84) / 0.13) ** 2)) * 0.35
        tone = np.clip(0.4 + 0.3 * bristle + 0.25 * across, 0, 1)
        paint = mix(first, second, tone[..., None]) * (1 + 0.045 * bristle)[..., None]
        self.colour[window] = mix(self.colour[window], paint, cover)
        thick = (body + ridge) * width**0.75
        self.height[window] = mix(self.height[window], 0.3 * self.height[window] + thick, cover)

    def lit(self, strength: float = 0.45, gloss: float = 0.4) -> Array:
        """The painting as colour in [0, 1], with the light from the upper left."""
        height = ndimage.gaussian_filter(self.height, 0.8)
        light = relief(height, 128, strength, gloss)[..., None]
        return np.clip(self.colour * (0.32 + 0.68 * light), 0, 1)


def seams(labels: Array) -> Array:
    """Distance in pixels of every pixel to the nearest border between two labels."""
    border = np.zeros(labels.shape, bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:, :] |= labels[1:, :] != labels[:-1, :]
    return ndimage.distance_transform_edt(~border)


def finish(picture: Array, size: int) -> Array:
    """Average a float picture down to `(size, size, 3)` uint8 in linear light."""
    factor = picture.shape[0] // size
    linear = np.clip(picture, 0, 1) ** 2.2
    small = linear.reshape(size, factor, size, factor, 3).mean((1, 3)) ** (1 / 2.2)
    return np.round(small * 255).astype(np.uint8)


def drawn(image: Image.Image) -> Array:
    """A Pillow picture as floats in [0, 1]."""
    return np.asarray(image, dtype=float) / 255
