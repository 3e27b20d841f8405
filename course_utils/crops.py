"""Random crops of pictures of any size, in batches, for networks that learn from patches."""

from collections.abc import Sequence

import keras
import numpy as np


class Crops(keras.utils.PyDataset):
    """Batches of random square crops, resized to one size and mirrored half of the time.

    What a batch holds depends on `seed`, the epoch and its number only, so a resumed training sees
    what it would have seen without the break.

    Args:
        groups: lists of pictures, `(height, width, 3)` uint8 of any sizes; each crop comes from
            each group with equal probability, and from each picture of the group.
        size: side of a crop in pixels, after resizing.
        batch_size: crops a batch.
        steps: batches an epoch.
        sides: for each group, the smallest and the largest side of a crop before resizing, in
            pixels of the picture; a picture that is smaller gives all of its shorter side.
        seed: whole number.

    Each item is a `(batch_size, size, size, 3)` float32 array in [0, 1].

    Raises:
        ValueError: if a group is empty, a picture has another shape or dtype, or there is not one
            range of sides for each group.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[np.ndarray]],
        *,
        size: int,
        batch_size: int,
        steps: int,
        sides: Sequence[tuple[float, float]],
        seed: int = 0,
    ):
        super().__init__()
        from PIL import Image

        if len(groups) != len(sides) or not all(len(group) for group in groups):
            raise ValueError(
                "Crops needs groups that are not empty and one range of sides for each; received "
                f"groups of {[len(group) for group in groups]} pictures and {len(sides)} ranges."
            )
        for picture in (picture for group in groups for picture in group):
            if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
                raise ValueError(
                    "pictures must have the shape (height, width, 3) and be uint8; received "
                    f"{picture.shape} and {picture.dtype}."
                )
        self._groups = [[Image.fromarray(picture) for picture in group] for group in groups]
        self._sides = [tuple(pair) for pair in sides]
        self._size, self._batch_size, self._steps = size, batch_size, steps
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; `training.fit` does."""
        self._epoch = epoch

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        rng = np.random.default_rng((self._seed, self._epoch, index))
        return np.stack([self._crop(rng) for _ in range(self._batch_size)])

    def _crop(self, rng):
        from PIL import Image

        group = rng.integers(len(self._groups))
        picture = self._groups[group][rng.integers(len(self._groups[group]))]
        side = min(rng.uniform(*self._sides[group]), *picture.size)
        left, top = rng.uniform(0, picture.width - side), rng.uniform(0, picture.height - side)
        crop = picture.resize(
            (self._size, self._size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        pixels = np.asarray(crop, np.float32) / 255
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels
