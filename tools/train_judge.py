"""Train the judge: the classifier of digits that measures what the generators draw.

    make checkpoint NAME=judge

It is trained by the recipe of notebook 01 on all 60,000 training digits of MNIST, and on what
happens to digits in a generator: soft strokes, weak ink, noise, another slant or size. The last
layer but one, "features", is the space in which `metrics` compares sets of pictures.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from course_utils import runtime

SEED = 0
EPOCHS = 14
BATCH_SIZE = 250
PEAK = 0.1  # largest learning rate
WIDTHS = (32, 48, 96, 128)
FEATURES = 64


def build_judge():
    """Pictures `(28, 28, 1)` in [0, 1] to ten logits, through 64 features."""
    import keras
    from keras import layers

    def conv_unit(x, width, name, strides=1):
        x = layers.Conv2D(
            width, 3, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.Activation("silu", name=f"{name}_silu")(x)

    pictures = keras.Input((28, 28, 1), name="picture")
    x = layers.Rescaling(3.0, offset=-0.4, name="standardise")(pictures)  # about mean 0, variance 1
    x = conv_unit(x, WIDTHS[0], "first")
    for stage, width in enumerate(WIDTHS[1:], start=1):
        x = conv_unit(x, width, f"shrink{stage}", strides=2)  # 14 x 14, 7 x 7, 4 x 4
        y = conv_unit(x, width, f"stage{stage}")
        x = layers.Add(name=f"sum{stage}")([x, y])
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    features = layers.Dense(FEATURES, dtype="float32", name="features")(x)
    logits = layers.Dense(10, dtype="float32", name="logits")(features)
    return keras.Model(pictures, logits, name="judge")


def build_augmentation():
    """What may happen to a digit without making it another; only while training."""
    import keras
    from keras import layers

    options = {"fill_mode": "constant", "fill_value": 0.0}
    pictures = x = keras.Input((28, 28, 1))
    x = layers.RandomRotation(0.035, seed=SEED, **options)(x)  # in turns: 12.6 degrees
    x = layers.RandomShear(0.15, 0.0, seed=SEED + 1, **options)(x)
    x = layers.RandomZoom((-0.15, 0.15), (-0.15, 0.15), seed=SEED + 2, **options)(x)
    x = layers.RandomTranslation(0.08, 0.08, seed=SEED + 3, **options)(x)
    blur = {"kernel_size": 7, "sigma": (0.1, 1.6), "value_range": (0, 1)}
    x = layers.RandomGaussianBlur((0.0, 1.0), **blur, seed=SEED + 4)(x)
    x = layers.RandomContrast((0.6, 0.4), value_range=(0, 1), seed=SEED + 5)(x)
    # Noise for half of the pictures. Dropout doubles what it keeps, so the noise has sigma 0.16.
    noise = layers.Subtract()([layers.GaussianNoise(0.08, seed=SEED + 6)(x), x])
    noise = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), seed=SEED + 7)(noise)
    return keras.Model(pictures, layers.Add()([x, noise]), name="augmentation")


def train(epochs=EPOCHS, resume="judge"):
    """Train from scratch, or go on; returns the judge and its history."""
    import keras

    from course_utils import data, training

    keras.utils.set_random_seed(SEED)
    bfloat16 = runtime.fast_dtype() == "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if bfloat16 else "float32")
    judge = build_judge()
    keras.config.set_dtype_policy("float32")
    pictures = keras.Input((28, 28, 1), name="picture")
    model = keras.Model(pictures, judge(build_augmentation()(pictures)))
    images, labels = data.load_mnist("train")
    targets = keras.utils.to_categorical(labels, 10)
    batches = data.batches(images, targets, batch_size=BATCH_SIZE, shuffle=True, seed=SEED)
    budget = training.Budget(steps=epochs * (len(images) // BATCH_SIZE))
    model.compile(
        optimizer=keras.optimizers.SGD(PEAK, momentum=0.9, nesterov=True, weight_decay=5e-4),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
    )
    history = training.fit(
        model,
        batches,
        epochs=epochs,
        callbacks=[budget, training.OneCycle(budget, PEAK), training.Lookahead(budget)],
        label="judge",
        resume=resume,
    )
    return judge, history


def corruptions():
    """Changes of a test set, made by SciPy and not by the layers of the training: `{name: f}`."""
    import numpy as np
    from scipy import ndimage

    def affine(matrix, shift=(0, 0)):
        matrix = np.asarray(matrix, float)
        offset = 13.5 - matrix @ (13.5 + np.asarray(shift))

        def change(images):
            moved = [ndimage.affine_transform(x, matrix, offset, order=1) for x in images[..., 0]]
            return np.stack(moved)[..., None]

        return change

    cos, sin = np.cos(np.pi / 18), np.sin(np.pi / 18)
    noise = np.random.default_rng(SEED)
    return {
        "none": lambda x: x,
        "blur, sigma 1": lambda x: ndimage.gaussian_filter(x, (0, 1, 1, 0)),
        "blur, sigma 1.5": lambda x: ndimage.gaussian_filter(x, (0, 1.5, 1.5, 0)),
        "contrast 50%": lambda x: 0.5 * x,
        "contrast 150%": lambda x: np.clip(1.5 * x, 0, 1),
        "noise, sigma 0.2": lambda x: np.clip(x + noise.normal(0, 0.2, x.shape), 0, 1),
        "turned left by 10 degrees": affine([[cos, sin], [-sin, cos]]),
        "turned right by 10 degrees": affine([[cos, -sin], [sin, cos]]),
        "moved by 2 pixels": affine(np.eye(2), shift=(2, 2)),
        "smaller by 15%": affine(np.eye(2) / 0.85),
        "larger by 10%": affine(np.eye(2) / 1.1),
    }


def measure(judge):
    """Accuracy on the 10,000 test digits as they are, and after each corruption."""
    import numpy as np

    from course_utils import data

    images, labels = data.load_mnist("test")
    accuracy = {}
    for name, change in corruptions().items():
        logits = judge.predict(change(images).astype("float32"), batch_size=500, verbose=0)
        accuracy[name] = float(np.mean(logits.argmax(axis=1) == labels))
    return {"digits": len(images), "accuracy": accuracy}


def main() -> int:
    """Train, measure and ship the judge."""
    runtime.setup(seed=SEED)
    from course_utils import checkpoints

    judge, history = train()
    if len(history["loss"]) < EPOCHS:
        print("not finished: run it again to go on")
        return 1
    final = build_judge()
    final.set_weights(judge.get_weights())
    card = {
        "data": "MNIST, all 60,000 training digits; no test digit was used in training",
        "command": "make checkpoint NAME=judge",
        "recipe": {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "peak": PEAK, "widths": WIDTHS},
        "seed": SEED,
        "history": history,
    }
    checkpoints.save(final, "judge", card, measure=measure)
    print(checkpoints.card("judge")["test"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
