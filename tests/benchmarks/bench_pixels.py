"""Time the samplers of PixelCNN side by side, on networks with random weights.

    python tests/benchmarks/bench_pixels.py

The network of the course's source, with masks: a masked convolution of 7 x 7, seven of 3 x 3, 64
channels, 256 levels. Its way of drawing is one `predict` of the whole picture for each of the 784
pixels; a few are timed and multiplied. Then the gated network of notebook 05, on blocks.
"""

import time

import numpy as np

from course_utils import runtime

runtime.setup(seed=0)

import keras  # noqa: E402
from keras import layers  # noqa: E402

from course_utils import pixels  # noqa: E402
from course_utils.layers import GatedActivation, MaskedConv2D, StackConv2D  # noqa: E402

PLACES = 28 * 28


def masked_net():
    """Return the network of 7 x 7 and 3 x 3 windows."""
    x = inputs = keras.Input((28, 28, 1))
    for number in range(8):
        side, mask_type = (3, "B") if number else (7, "A")
        x = MaskedConv2D(64, side, mask_type, activation="relu")(x)
    return keras.Model(inputs, layers.Conv2D(256, 1)(x))


def gated_net(channels=64, depth=6, head=128):
    """Return two stacks over blocks of 2 x 2 pixels, told of a class."""
    seen, label = keras.Input((14, 14, 4)), keras.Input((), dtype="int32")
    v = StackConv2D(channels, (3, 7), "vertical", "A")(seen)
    h = layers.Add()([StackConv2D(channels, (1, 3), "horizontal", "A")(seen), v])
    for _ in range(depth):
        terms = []
        for _ in range(2):
            told = layers.Embedding(10, 2 * channels)(label)
            terms.append(layers.Reshape((1, 1, 2 * channels))(told))
        above = layers.Add()([StackConv2D(2 * channels, (2, 3), "vertical")(v), terms[0]])
        v = layers.Add()([v, GatedActivation()(above)])
        left = StackConv2D(2 * channels, (1, 2), "horizontal")(h)
        here = layers.Add()([left, layers.Conv2D(2 * channels, 1)(v), terms[1]])
        h = layers.Add()([h, layers.Conv2D(channels, 1)(GatedActivation()(here))])
    x = layers.Conv2D(head, 1, activation="relu")(layers.ReLU()(h))
    return keras.Model([seen, label], layers.Conv2D(16, 1)(x))


def clock(action, times=3):
    """Return the shortest of a few times, in seconds."""
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def main():
    """Time everything and print it."""
    net = masked_net()
    picture = np.zeros((1, 28, 28, 1), np.float32)
    net.predict(picture, verbose=0)
    one = clock(lambda: net.predict(picture, verbose=0), times=10)
    predicted = PLACES * one
    print(f"masked, predict       1 picture  {predicted:8.2f} s, {PLACES} x {1000 * one:.1f} ms")
    sampler = pixels.PixelSampler(net, pixels.GREY)
    for n in (1, 64):
        spent = clock(lambda n=n: sampler.sample(n=n, seed=0))
        ratio = predicted / (spent / n)
        print(f"masked, columns     {n:3} pictures {spent:8.2f} s, {ratio:,.0f} times a picture")
    sampler = pixels.PixelSampler(gated_net(), pixels.BLOCKS)
    for n in (1, 8, 64):
        spent = clock(lambda n=n: sampler.sample(np.arange(n) % 10, seed=0))
        print(f"gated, columns      {n:3} pictures {spent:8.2f} s")
    known = np.zeros((1, 28, 28, 1), bool)
    known[:, :8] = known[:, 20:] = True
    black = np.zeros((1, 28, 28, 1), np.float32)
    first = []

    def complete():
        begin = time.perf_counter()
        for _ in pixels.completing(sampler, black, known, n=8, seed=0, particles=24):
            first.append(time.perf_counter() - begin)

    spent = clock(complete, times=2)
    print(f"gated, 8 completions by 24 particles {spent:.2f} s, first row after {first[0]:.2f} s")


if __name__ == "__main__":
    main()
