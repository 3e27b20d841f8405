"""Time what happens in the kernel between a key press and a changed picture of the CNN explorer.

    python tests/benchmarks/bench_widgets.py

A network of the shipped one's size with random weights serves. The browser test measures the
whole way, from the key to the screen.
"""

import time

import numpy as np

from course_utils import runtime

runtime.setup(seed=0)

import keras  # noqa: E402

from course_utils import cnn_view, explain, render, widgets  # noqa: E402

NAMES = [f"class {index}" for index in range(10)]


def network():
    """Return a residual network of about 2 million weights and 240 MFLOP a picture."""
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(24, 2, activation="silu", name="whiten")(inputs)
    for stage, width in enumerate((64, 256, 256), start=1):
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"stage{stage}_conv1")(x)
        x = keras.layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
        x = keras.layers.BatchNormalization(name=f"stage{stage}_norm1")(x)
        x = keras.layers.Activation("silu", name=f"stage{stage}_silu1")(x)
        y = keras.layers.Conv2D(width, 3, padding="same", name=f"stage{stage}_conv2")(x)
        y = keras.layers.BatchNormalization(name=f"stage{stage}_norm2")(y)
        y = keras.layers.Activation("silu", name=f"stage{stage}_silu2")(y)
        x = keras.layers.Add(name=f"stage{stage}")([x, y])
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="logits")(x))


def show(what, action, times=40):
    """Print median and 90th percentile of `action`, in milliseconds."""
    action()
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        spent.append(1000 * (time.perf_counter() - begin))
    print(f"{what:34} median {np.median(spent):5.1f} ms   p90 {np.percentile(spent, 90):5.1f} ms")


def main():
    """Time every part, then the whole."""
    model = network()
    pictures = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
    begin = time.perf_counter()
    explorer = widgets.cnn_explorer(model, pictures, [0] * 24, NAMES)
    print(f"{'open the explorer':34} {1000 * (time.perf_counter() - begin):12.0f} ms")
    image = pictures[0] / 255
    explained, occluded = explain.explain(model), explain.occlusion(model)
    show("logits, maps and Grad-CAM", lambda: explained(image))
    show("occlusion", lambda: occluded(image))
    view = cnn_view.CnnView(model, pictures, [0] * 24, NAMES)
    state = explorer.state() | {"own": None}
    canvas = view(state)
    show("draw, network remembered", lambda: view(state))
    show("PNG", lambda: render.encode_png(canvas))
    print(f"{'size of the PNG':34} {len(render.encode_png(canvas)) / 1000:12.0f} kB")

    def forget_and_show():
        view._seen.clear()
        render.encode_png(view(state))

    show("whole, new picture", forget_and_show)
    show("whole, new layer", lambda: render.encode_png(view(state)))


if __name__ == "__main__":
    main()
