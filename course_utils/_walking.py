"""What all samplers of `diffusion` share: pairs of time steps, their noise, and the network."""

import numpy as np


def pairs(times):
    """Return each time step with the next lower one, and the last with -1."""
    return list(zip(times, [*times[1:], -1], strict=True))


def half_log_snr(alpha_bar):
    """Return λ, the logarithm of √(ᾱ / (1 - ᾱ))."""
    return 0.5 * np.log(alpha_bar / (1 - alpha_bar))


def stops(callback, *news) -> bool:
    """Tell the callback, and return whether it wants an end."""
    answer = callback(*news) if callback else None
    return answer is not None and not answer


def generator(seed):
    """Return a random generator; not with the numbers of x_T, often drawn from the same seed."""
    return np.random.default_rng(seed).spawn(1)[0]


def dice(steps, noise, seed, shape):
    """Return a function of the number of the step that gives its noise."""
    if noise is None:
        rng = generator(seed)
        return lambda i: rng.standard_normal(shape)
    noise = np.asarray(noise)
    wanted = (steps - 1, *shape)
    if noise.shape != wanted:
        raise ValueError(
            "noise must have the shape (steps - 1, *x_T.shape), "
            f"here {wanted}; received {noise.shape}."
        )
    return lambda i: noise[i]


def compiled(network):
    """Return a function of `[x_t, t, labels]`: of a model, a compiled one for any batch."""
    import keras

    if not isinstance(network, keras.Model):
        return network
    import tensorflow as tf

    signature = [tf.TensorSpec(one.shape, one.dtype) for one in network.inputs]
    run = tf.function(lambda *inputs: network(list(inputs), training=False), signature)
    dtypes = [one.dtype for one in network.inputs]
    return lambda inputs: run(*map(tf.convert_to_tensor, map(np.asarray, inputs, dtypes)))
