"""What the course's trained networks can do, from a terminal: `python -m course_utils --help`."""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

EPILOG = "Everything works offline. A mistake in what is asked for ends with exit code 2."


class _Unusable(ValueError):
    """What the user asked for cannot be done; the message is one sentence."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    from course_utils import bundle, pictures, runtime

    try:
        if "out" in options:
            _check_output(options)
        with contextlib.redirect_stdout(io.StringIO()):  # its line is for notebooks
            runtime.setup()
        options.run(options)
    except (_Unusable, pictures.ImageError) as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 2
    except bundle.DataError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, say
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{parser.prog} {options.command}: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m course_utils", description=__doc__.split(":")[0] + ".", epilog=EPILOG
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("sample", help="draw digits", epilog=EPILOG)
    one.description = (
        "Draw digits with a generator of the course, 0 to 9 in turn where it can be asked. "
        "The file has `images`, uint8 (n, 28, 28), and `labels`, uint8 (n,), where there are any."
    )
    one.add_argument("model", choices=("gan", "vae", "pixelcnn", "diffusion"), metavar="MODEL",
                     help="gan, vae, pixelcnn or diffusion")  # fmt: skip
    one.add_argument("--n", type=_count, default=100, help="how many digits (default: 100)")
    one.add_argument("--seed", type=_seed, default=0, help="same seed, same digits (default: 0)")
    one.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.npz",
                     help="what to write")  # fmt: skip
    one.set_defaults(run=_sample, suffixes=(".npz",))

    two = commands.add_parser("stylize", help="paint a picture in a style", epilog=EPILOG)
    two.description = (
        "Paint a picture in a style. For a style of the course one network does it at once; for a "
        "style of your own, an optimiser works on the picture for a minute or two."
    )
    two.add_argument(
        "content", metavar="CONTENT", help="a picture's file, or a name of the course's"
    )
    two.add_argument("style", metavar="STYLE", help="a style's name, or a picture's file")
    two.add_argument("-o", "--out", type=Path, required=True, metavar="OUT",
                     help="what to write: a .png or .jpg file")  # fmt: skip
    two.add_argument("--size", type=_size, default=256,
                     help="longer side in pixels, 32 to 2048 (default: 256)")  # fmt: skip
    two.add_argument("--strength", type=_share, default=1.0,
                     help="of the style, 0 to 1 (default: 1)")  # fmt: skip
    two.set_defaults(run=_stylize, suffixes=(".png", ".jpg", ".jpeg"))

    three = commands.add_parser("classify", help="say what a picture shows", epilog=EPILOG)
    three.description = (
        "Say how likely a picture shows each of the ten things that the classifier of notebook 1 "
        "knows. It sees 32 x 32 pixels of the middle square."
    )
    three.add_argument("image", type=Path, metavar="IMAGE", help="a picture's file")
    three.set_defaults(run=_classify)
    return parser


# --- the commands ------------------------------------------------------------------------------


def _sample(options):
    import numpy as np
    from tqdm import tqdm

    from course_utils import generators

    with tqdm(total=options.n, unit="digit", disable=None) as bar:
        samples = generators.generate(
            options.model, options.n, options.seed, callback=lambda done: bar.update(done - bar.n)
        )
    arrays = {name: array for name, array in samples._asdict().items() if array is not None}
    _write(options.out, lambda file: np.savez_compressed(file, **arrays))
    print(f"{options.n:,} digits of {options.model} in {options.out}")


def _stylize(options):
    import numpy as np
    from PIL import Image

    from course_utils import checkpoints

    content = _picture(options.content, "content", options.size)
    styles = checkpoints.card("style")["styles"]
    if options.style in styles:
        side = [max(4, length // 4 * 4) for length in content.shape[:2]]  # as the network needs
        weights = np.zeros((1, len(styles)), np.float32)
        weights[0, styles.index(options.style)] = options.strength
        network = checkpoints.load("style")
        painted = np.asarray(network([content[None, : side[0], : side[1]], weights]))[0]
    else:
        painted = _optimise(content, _picture(options.style, "style", options.size), options)
    pixels = np.rint(255 * np.clip(painted, 0, 1)).astype(np.uint8)
    kind = "PNG" if options.out.suffix.lower() == ".png" else "JPEG"
    _write(options.out, lambda file: Image.fromarray(pixels).save(file, kind, quality=95))
    print(f"{pixels.shape[1]} x {pixels.shape[0]} pixels in {options.out}")


def _optimise(content, style, options):
    """Paint in a style that the network has not learned, with the loss of notebook 2."""
    from tqdm import tqdm

    from course_utils import backbones, runtime, transfer

    style_layers = [f"block{block}_conv1" for block in range(1, 5)]
    extract = backbones.load("vgg16").extractor(
        [*style_layers, "block3_conv3"], dtype=runtime.fast_dtype()
    )
    sizes = (*(size for size in (96, 160) if size < options.size), options.size)
    steps = transfer.stylize(
        extract, content, style, sizes=sizes, iterations=(40, 40, 30)[-len(sizes) :],
        content_layers=["block3_conv3"], style_layers=style_layers,
        style_weight=10.0 * options.strength,
    )  # fmt: skip
    with tqdm(total=100, unit="%", disable=None) as bar:
        for step in steps:
            bar.update(round(100 * step.share) - bar.n)
    return step.image


def _classify(options):
    import keras
    import numpy as np

    from course_utils import checkpoints, data, pictures

    picture = pictures.read_image(options.image, size=(32, 32)).astype(np.float32) / 255
    logits = checkpoints.load("cnn")(picture[None], training=False)
    probabilities = np.asarray(keras.ops.softmax(logits))[0]
    for index in np.argsort(-probabilities):
        print(f"{probabilities[index]:6.1%}  {data.CIFAR10_CLASSES[index]}")


# --- input and output --------------------------------------------------------------------------


def _picture(source, kind, size):
    """Read a file, or a picture of the course, float32 in [0, 1]."""
    import numpy as np

    from course_utils import pictures

    if source in pictures.names(kind):
        return pictures.load_picture(source, size=size)
    if not Path(source).expanduser().exists():
        known = ", ".join(pictures.names(kind))
        raise _Unusable(f"{source!r} is neither a file nor a {kind} of the course ({known}).")
    return pictures.read_image(source, size=size).astype(np.float32) / 255


def _check_output(options):
    """Find out before the work whether its result can be written."""
    folder = options.out.parent
    if options.out.suffix.lower() not in options.suffixes:
        raise _Unusable(f"{options.out} must end in {' or '.join(options.suffixes)}.")
    if not folder.is_dir():
        raise _Unusable(f"the folder {folder} does not exist.")
    if options.out.is_dir():
        raise _Unusable(f"{options.out} is a folder.")
    if not os.access(folder, os.W_OK):
        raise _Unusable(f"the folder {folder} cannot be written to.")


def _write(path, save):
    """Write a file whole or not at all."""
    number, scratch = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(number, "wb") as file:
            save(file)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(scratch, 0o666 & ~umask)  # as any new file; a temporary one is private
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _number(kind, low, high, what):
    def read(text):
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be {what}; received {text!r}")
        return number

    return read


_count = _number(int, 1, 1_000_000, "a whole number from 1 to 1,000,000")
_seed = _number(int, 0, 2**63 - 1, "a whole number that is not negative")
_size = _number(int, 32, 2048, "a whole number from 32 to 2048")
_share = _number(float, 0, 1, "a number from 0 to 1")

if __name__ == "__main__":
    sys.exit(main())
