"""Crops: where they come from, and that they are the same again."""

import keras
import numpy as np
import pytest

from course_utils import crops, training


def make(groups=None, **changes):
    rng = np.random.default_rng(0)
    groups = groups or [[rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)]]
    options = {"size": 8, "batch_size": 3, "steps": 5, "sides": [(8, 30)] * len(groups), "seed": 1}
    return crops.Crops(groups, **(options | changes))


def test_a_batch():
    batches = make()
    assert len(batches) == 5
    batch = batches[0]
    assert batch.shape == (3, 8, 8, 3) and batch.dtype == np.float32
    assert 0 <= batch.min() < batch.max() <= 1
    assert not np.array_equal(batch[0], batch[1])


def test_a_crop_of_full_size_is_a_part_of_the_picture_or_its_mirror_image():
    """Crops that are not resized and lie on whole pixels must be found in the picture."""
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    batches = make([[picture]], sides=[(8, 8)], batch_size=16)
    seen = {tuple(crop.ravel()) for crop in np.rint(255 * batches[0]).astype(int)}
    assert seen == {tuple(picture.ravel()), tuple(picture[:, ::-1].ravel())}


def test_every_side_lies_in_its_range_and_inside_the_picture(monkeypatch):
    from PIL import Image

    boxes = []
    resize = Image.Image.resize

    def spy(self, size, resample, box):
        boxes.append((self.size, box))
        return resize(self, size, resample, box=box)

    monkeypatch.setattr(Image.Image, "resize", spy)
    wide, small = (np.zeros(shape, np.uint8) for shape in ((50, 90, 3), (20, 30, 3)))
    batches = make([[wide], [small]], sides=[(30, 45), (10, 400)], batch_size=40)
    batches[0]
    assert {size for size, _ in boxes} == {(90, 50), (30, 20)}
    for (width, height), (left, top, right, bottom) in boxes:
        assert left >= 0 and top >= 0 and right <= width + 1e-6 and bottom <= height + 1e-6
        side = right - left
        assert side == pytest.approx(bottom - top)
        low, high = (30, 45) if width == 90 else (10, 20)  # not larger than the shorter side
        assert low <= side <= high + 1e-6
    assert len({round(box[0], 3) for _, box in boxes}) > 20


def test_groups_are_equally_frequent_however_many_pictures_they_hold():
    dark = [np.zeros((20, 20, 3), np.uint8)] * 9
    light = [np.full((20, 20, 3), 255, np.uint8)]
    batch = make([dark, light], batch_size=400)[0]
    assert 0.4 < batch.mean() < 0.6


def test_the_same_again_and_otherwise_by_seed_epoch_and_number():
    one, two, other = make(), make(), make(seed=2)
    np.testing.assert_array_equal(one[3], two[3])
    assert not np.array_equal(one[3], one[2])
    assert not np.array_equal(one[3], other[3])
    before = one[3]
    one.set_epoch(1)
    assert not np.array_equal(one[3], before)
    one.set_epoch(0)
    np.testing.assert_array_equal(one[3], before)


class Recorder(keras.Model):
    """Learns nothing; sums what it sees, so that a resume can be compared."""

    def __init__(self):
        super().__init__()
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def call(self, inputs):
        return inputs * self.total

    def train_step(self, batch):
        (pictures,) = batch
        self.total.assign(1.5 * self.total + keras.ops.mean(pictures))  # the order counts
        return {"loss": self.total}


def test_a_resumed_training_sees_the_same_crops(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))

    def train(epochs, resume=None):
        model = Recorder()
        model.compile(optimizer="sgd")
        model.build((None, 8, 8, 3))
        return training.fit(model, make(), epochs=epochs, live=False, resume=resume)["loss"]

    straight = train(3)
    train(2, resume="crops")
    np.testing.assert_allclose(train(3, resume="crops"), straight, rtol=1e-6)


@pytest.mark.parametrize(
    ("groups", "changes", "message"),
    [
        ([[]], {}, "groups of \\[0\\]"),
        (None, {"sides": []}, "0 ranges"),
        ([[np.zeros((8, 8, 3))]], {}, "float64"),
        ([[np.zeros((8, 8), np.uint8)]], {}, "\\(8, 8\\)"),
    ],
)
def test_errors(groups, changes, message):
    with pytest.raises(ValueError, match=message):
        make(groups, **changes)
