"""Time the drawing of 16 digits in 20 steps: the usual loop of `predict`, ours, and the floor.

    python tests/benchmarks/bench_diffusion.py [model.keras]

The floor is what multiplications and additions alone would take at the speed at which this machine
multiplies matrices.
"""

import sys
import time
from pathlib import Path

import numpy as np

from course_utils import runtime

runtime.setup(seed=0)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from course_utils import diffusion, layers, schedules  # noqa: E402, F401  registers layers

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "checkpoints" / "diffusion.keras"
COUNT, STEPS = 16, 20


def operations(model):
    """Count multiplications and additions of one picture, those of convolutions and Dense."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            size = layer.output.shape[1] * layer.output.shape[2]
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            size = layer.input.shape[1] * layer.input.shape[2]
        elif isinstance(layer, keras.layers.Dense):
            size = 1
        else:
            continue
        total += 2 * int(np.prod(layer.kernel.shape)) * size
    return total


def speed():
    """Return operations a second in the product of two large matrices."""
    a = tf.random.normal((1536, 1536))
    product = tf.function(lambda a: tf.linalg.matmul(a, a))
    return 2 * 1536**3 / best(lambda: product(a).numpy())


def best(action, times=5):
    """Return the shortest of some times that an action takes, in seconds."""
    action()
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def predict_loop(model, schedule, x, labels, guidance):
    """Draw with DDIM as tutorials do: `predict` at each step, twice where there is guidance."""
    none = np.full(COUNT, 10)
    times = diffusion.timesteps(schedule, STEPS)
    for t, s in zip(times, [*times[1:], -1], strict=True):
        v = model.predict([x, np.full(COUNT, t), labels], verbose=0)
        if guidance != 1:
            other = model.predict([x, np.full(COUNT, t), none], verbose=0)
            v = (1 - guidance) * other + guidance * v
        a, b = schedule.alpha_bar(t), schedule.alpha_bar(s)
        x_start = np.clip(np.sqrt(a) * x - np.sqrt(1 - a) * v, -1, 1)
        noise = (x - np.sqrt(a) * x_start) / np.sqrt(1 - a)
        x = np.sqrt(b) * x_start + np.sqrt(1 - b) * noise
    return x


def main():
    """Print each time, and how far from the floor it is."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    model, schedule = keras.models.load_model(path), schedules.cosine()
    each, rate = operations(model), speed()
    print(f"{each / 1e6:.0f} MFLOP a picture; matrices at {rate / 1e9:.0f} GFLOP/s")
    denoiser = diffusion.Denoiser(model, schedule)
    x = np.random.default_rng(0).standard_normal((COUNT, 28, 28, 1)).astype("float32")
    labels = np.arange(COUNT) % 10
    for guidance in (1.0, 2.0):
        floor = COUNT * STEPS * each * (1 if guidance == 1 else 2) / rate
        print(f"{COUNT} digits, {STEPS} steps, guidance {guidance:.0f}; floor {floor:.2f} s")
        ways = {
            "predict": lambda w=guidance: predict_loop(model, schedule, x, labels, w),
            "ddim_sample": lambda w=guidance: diffusion.ddim_sample(
                denoiser, x, labels=labels, steps=STEPS, guidance=w
            ),
            "dpm_solver_sample": lambda w=guidance: diffusion.dpm_solver_sample(
                denoiser, x, labels=labels, steps=STEPS, guidance=w
            ),
        }
        for name, draw in ways.items():
            seconds = best(draw, times=3)
            print(f"  {name:20} {seconds:6.2f} s   {seconds / floor:.1f} times the floor")
        drawn = [ways[name]() for name in ("predict", "ddim_sample")]
        print(f"  largest difference of the first two: {np.abs(drawn[0] - drawn[1]).max():.1e}")


if __name__ == "__main__":
    main()
