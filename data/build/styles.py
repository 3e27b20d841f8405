"""Draw the style pictures: `python data/build/styles.py [NAME ...] [--out DIR] [--sheet FILE]`.

Every picture is computed, stroke by stroke, by the function named after it; it belongs to the
course, and is free to share (MIT). Every picture has a seed of its own, so that one can be
redrawn without the others. The committed files were drawn and encoded with the versions in
`VERSIONS`; with these the script reproduces them byte for byte.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from crafts import draw_mosaic, draw_stained_glass
from ink import draw_ink_mountains
from paintings import draw_impasto_night, draw_pointillist_river
from PIL import Image
from prints import draw_facets, draw_marbling, draw_woodcut_waves

SIZE = 512
VERSIONS = {"numpy": "2.4.6", "scipy": "1.17.1", "pillow": "13.0.0", "libwebp": "1.6.0"}
FOLDER = Path(__file__).resolve().parents[1] / "images" / "style"

# name: (function, seed, title)
STYLES = {
    "facets": (draw_facets, 2024, "Guitar, bottle and fruit, broken into planes"),
    "impasto_night": (draw_impasto_night, 2024, "Night wind over a wheat field, in thick oil"),
    "ink_mountains": (draw_ink_mountains, 2024, "Peaks, mist and pines, in ink on paper"),
    "marbling": (draw_marbling, 2024, "Marbled paper, combed and swirled"),
    "mosaic": (draw_mosaic, 2024, "Two fish circling the sun, in glass and gold tiles"),
    "pointillist_river": (
        draw_pointillist_river,
        2024,
        "A river at sunset, in dots of divided colour",
    ),
    "stained_glass": (draw_stained_glass, 2024, "Sunrise over hills and a river, in leaded glass"),
    "woodcut_waves": (draw_woodcut_waves, 2024, "Breaking waves before a red sun, cut in wood"),
}


def draw(name: str, size: int = SIZE) -> np.ndarray:
    """Draw one style picture; returns `(size, size, 3)` uint8.

    Raises:
        ValueError: if there is no style `name`.
    """
    if name not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}; got {name!r}")
    function, seed, _ = STYLES[name]
    return function(np.random.default_rng(seed), size)


def encode(picture: np.ndarray) -> bytes:
    """The bytes of a picture's WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=96, method=6, use_sharp_yuv=True)
    return buffer.getvalue()


def contact_sheet(names: list[str], folder: Path, columns: int = 4) -> Image.Image:
    """The pictures of `names` side by side, half size."""
    side = SIZE // 2
    rows = -(-len(names) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), "white")
    for i, name in enumerate(names):
        picture = Image.open(folder / f"{name}.webp").convert("RGB").resize((side, side))
        sheet.paste(picture, (i % columns * side, i // columns * side))
    return sheet


def main() -> None:
    """Draw the pictures that the command line names, all by default."""
    parser = argparse.ArgumentParser(description="Draw the style pictures of the course.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STYLES)}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the WebP files")
    parser.add_argument("--sheet", type=Path, help="also save a contact sheet of the pictures")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(STYLES))
    if unknown:
        parser.error(f"no style {', '.join(unknown)}; choose from {', '.join(STYLES)}")
    names = options.names or list(STYLES)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        start = time.perf_counter()
        data = encode(draw(name))
        (options.out / f"{name}.webp").write_bytes(data)
        print(f"{name:18} {time.perf_counter() - start:5.1f} s {len(data) / 1024:6.0f} kB")
    if options.sheet:
        contact_sheet(names, options.out).save(options.sheet)


if __name__ == "__main__":
    main()
