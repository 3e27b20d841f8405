"""The widgets of the notebooks, one function each; how they work is in `shells` and `render`."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import numpy as np

from course_utils import (
    cnn_view,
    completer_view,
    diffusion_view,
    gan_view,
    inpainter_view,
    latent,
    pads,
    shells,
    slow,
    studio,
)


def cnn_explorer(
    model,
    images,
    labels,
    class_names: Sequence[str],
    *,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    read: Callable[[bytes], np.ndarray] | None = None,
    layer_names: Sequence[str] | None = None,
) -> shells.Live:
    """Explore what a classifier sees: probabilities, feature maps and saliency, live.

    Args:
        model: functional Keras model, one picture in, `(batch, classes)` logits out.
        images: `(n, height, width, 1 or 3)` pictures to choose from; uint8, or float in [0, 1].
        labels: `(n,)` their true classes.
        class_names: one for each class.
        preprocess: from one picture, float32 in [0, 1], to what the model takes; None if that is
            the same.
        read: turns the bytes of a file into `(h, w, 3)` uint8, or raises a ValueError whose
            message is for the user, as `pictures.read_image` does; None leaves the upload out.
        layer_names: layers to choose from; None takes `explain.visible_layers(model)`.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if shapes do not fit together, or the model returns probabilities.
    """
    view = cnn_view.CnnView(model, images, labels, class_names, preprocess, layer_names)
    layer = view.layers[-1]  # where Grad-CAM agrees best with occlusion
    controls = {
        "picture": ipywidgets.IntSlider(0, 0, len(view.pictures) - 1, description="Picture"),
        "layer": _choice("Layer", view.layers, layer),
        "channel": _choice("Channel", view.channels(layer)),
        "saliency": _choice("Saliency", [cnn_view.GRAD_CAM, cnn_view.OCCLUSION, cnn_view.OFF]),
        "class": _choice("Class", [cnn_view.TOP, *class_names]),
    }
    if read is not None:
        controls["own"] = ipywidgets.FileUpload(
            description="Own picture", accept="image/*", multiple=False
        )

    def adjust(shell, name):
        if name == "picture":
            shell.files = dict.fromkeys(shell.files)
        elif name == "layer":
            channel = shell.controls["channel"]
            index, options = channel.index, view.channels(shell.controls["layer"].value)
            channel.options = options
            channel.index = min(index, len(options) - 1)

    return shells.Live(
        lambda state: view({"own": None, **state}),
        controls,
        name="cnn",
        alt="A picture, its five most probable classes, where the network looks, and feature maps.",
        read=read,
        adjust=adjust,
        describe=lambda state: view.describe({"own": None, **state}),
    )


def style_studio(
    stylise: Callable,
    contents: Mapping[str, np.ndarray],
    styles: Mapping[str, np.ndarray],
    *,
    refine: Callable | None = None,
    layers: Sequence[str] = (),
    read: Callable[[bytes], np.ndarray] | None = None,
    size: int = 192,
) -> shells.Live:
    """Paint pictures in styles: a network that follows the controls, and an optimiser on request.

    Args:
        stylise: from `(1, h, w, 3)` float32 in [0, 1] and style weights `(1, n)` float32 to
            `(1, h, w, 3)`; h and w are multiples of 4.
        contents: `{name: (h, w, 3)}`, float in [0, 1] or uint8, of any proportions.
        styles: the same, in the order of the network's weights.
        refine: called as `refine(content, styles, blend, start, strength, layers)` with pictures
            `(h, w, 3)`, a list of style pictures and their shares; yields steps with `image`,
            `share` and `losses`, as `transfer.stylize` does. None leaves Refine out.
        layers: names of the style layers, from the picture upwards, that Refine can use.
        read: turns the bytes of a file into `(h, w, 3)` uint8, or raises a ValueError whose
            message is for the user; None leaves the uploads out.
        size: longer side of the content in pixels.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if there is no content or no style, or a picture is none.
    """
    view = studio.StyleView(stylise, contents, styles, refine, layers, size)
    names = list(view.styles)
    share = {"min": 0.0, "max": 1.0, "step": 0.05, "readout_format": ".0%"}
    controls = {
        "content": _choice("Content", list(view.contents)),
        "style": _choice("Style", names),
        "second": _choice("Second style", names, names[-1]),
        "blend": ipywidgets.FloatSlider(0.0, description="Blend", **share),
        "strength": ipywidgets.FloatSlider(1.0, description="Strength", **share),
    }
    if refine is not None and view.layers:
        controls["layers"] = ipywidgets.SelectionSlider(
            options=[
                *((f"up to {name}", name) for name in view.layers[:-1]),
                ("all", studio.ALL_LAYERS),
            ],
            value=studio.ALL_LAYERS,
            description="Refine with",
        )
    if read is not None:
        for key, label in (("own_content", "Own content"), ("own_style", "Own style")):
            controls[key] = ipywidgets.FileUpload(
                description=label, accept="image/*", multiple=False
            )

    def complete(state):
        return {"own_content": None, "own_style": None, "layers": studio.ALL_LAYERS, **state}

    def adjust(shell, name):
        own = {"content": "own_content", "style": "own_style"}.get(name)
        if own in shell.files:
            shell.files[own] = None

    options = {
        "name": "style",
        "alt": "A photograph, a style, and the photograph painted in that style.",
        "read": read,
        "adjust": adjust,
        "describe": lambda state: view.describe(complete(state)),
    }
    if refine is None:
        return shells.Live(lambda state: view(complete(state)), controls, **options)
    return slow.Refinable(
        lambda state: view(complete(state)),
        lambda state: view.refined(complete(state)),
        controls,
        start="Refine",
        **options,
    )


def latent_explorer(nets: Mapping[str, tuple], images, labels) -> shells.Live:
    """Move a point over the plane of codes and see its digit, and the digits around it.

    Args:
        nets: `{kl_weight: (encoder, decoder)}`, names of any kind. An encoder is a functional model
            from `(n, 28, 28, 1)` in [0, 1] to `[z_mean, z_log_var]`, each `(n, 2)`; a decoder, one
            from `(n, 2)` to logits `(n, 28, 28, 1)`. The widget begins with "1", where there is
            one.
        images: `(m, 28, 28, 1)` held-out digits that make the map; float in [0, 1], or uint8.
        labels: `(m,)` what they are.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if models, images or labels have other shapes, or a decoder returns
            probabilities.
    """
    view = latent.ExplorerView(nets, images, labels)
    first = {"kl_weight": _first_net(view), "background": latent.CODES}
    controls = {
        "kl_weight": _choice("KL weight", list(view.planes), first["kl_weight"]),
        "background": _choice("Map shows", [latent.CODES, latent.DECODED]),
        "point": pads.PointPad(
            extent=view.planes[first["kl_weight"]].extent,
            picture=view.map(first),
            description="Place on the map; rings at 1, 2, 3 standard deviations",
            side=latent.SIDE,
        ),
    }

    def adjust(shell, name):
        if name == "point":
            return
        pad, state = shell.controls["point"], shell.state()
        left, right, bottom, top = extent = view.planes[state["kl_weight"]].extent
        x, y = pad.value
        with pad.hold_sync():
            pad.extent = extent
            pad.value = min(max(x, left), right), min(max(y, bottom), top)
            pad.picture = view.map_png(state)

    return shells.Live(
        view,
        controls,
        name="latent",
        alt="The codes of digits on a plane, the digit at one point, and those around it.",
        adjust=adjust,
        describe=view.describe,
        still=view.still,
    )


def digit_encoder(nets: Mapping[str, tuple], images, labels) -> shells.Live:
    """Draw a digit or choose one: where it lands on the plane, what comes back, and how surely.

    Args:
        nets: as in `latent_explorer`.
        images: `(m, 28, 28, 1)` held-out digits to choose from, which make the map as well; float
            in [0, 1], or uint8.
        labels: `(m,)` what they are.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: as in `latent_explorer`.
    """
    view = latent.EncoderView(nets, images, labels)
    controls = {
        "digit": ipywidgets.IntSlider(0, 0, len(view.pictures) - 1, description="Test digit"),
        "kl_weight": _choice("KL weight", list(view.planes), _first_net(view)),
        "drawing": pads.DrawPad(
            view.pictures[0], description="Draw here, or change the digit", side=224
        ),
    }

    def adjust(shell, name):
        if name == "digit":
            shell.controls["drawing"].raster = view.pictures[shell.controls["digit"].value]

    return shells.Live(
        view,
        controls,
        name="encoder",
        alt="A digit, where it lands among the codes of others, and what is decoded from there.",
        adjust=adjust,
        describe=view.describe,
    )


def _first_net(view) -> str:
    return "1" if "1" in view.planes else next(iter(view.planes))


def gan_explorer(generator, images, labels, probabilities: Callable) -> shells.Live:
    """Ask a generator for a digit, and move a point over a slice of its space of codes.

    Args:
        generator: functional model from codes `(n, latent_dim)` and one-hot classes `(n, classes)`
            to pictures `(n, height, width, 1)` in [-1, 1].
        images: `(m, height, width, 1)` training pictures in [0, 1], among which the closest one of
            the class is looked for.
        labels: `(m,)` their classes, each of which must occur.
        probabilities: from pictures in [0, 1] to `(n, classes)`, as `judge.Judge.probabilities`.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if the generator has other inputs, or pictures and labels do not fit.
    """
    return gan_view.Explorer(gan_view.GanView(generator, probabilities, images, labels))


def digit_completer(sampler, images, labels) -> slow.Refinable:
    """Hide or paint a part of a digit, and let a model complete it in several ways, row by row.

    Args:
        sampler: `pixels.PixelSampler` of a model of pictures of ink and paper; one that takes
            classes can be asked for them.
        images: `(m, height, width, 1)` test digits to begin with, of the model's size; float in
            [0, 1], or uint8. Half and more counts as ink.
        labels: `(m,)` what they are.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if pictures, labels and sampler do not fit together.
    """
    view = completer_view.CompleterView(sampler, images, labels)
    return slow.Refinable(
        view,
        view.complete,
        completer_view.controls(view),
        start="Complete",
        name="completer",
        alt="A digit of which a part is unknown, and eight ways in which a model completes it.",
        adjust=lambda shell, name: completer_view.adjust(view, shell, name),
        describe=view.describe,
        still=view.still,
    )


def diffusion_explorer(denoiser, shape=(28, 28, 1)) -> slow.Refinable:
    """Scrub through the way of ten pictures out of noise, and draw others.

    Args:
        denoiser: `diffusion.Denoiser` of pictures in [-1, 1] and labels from 0 to 9.
        shape: of a picture.

    Returns:
        The widget: leave it last in the cell.
    """
    return diffusion_view.Explorer(diffusion_view.DiffusionView(denoiser, shape))


def digit_inpainter(denoiser, images, labels) -> slow.Refinable:
    """Hide or paint a part of a digit, and let a diffusion model fill it in, in several ways.

    Args:
        denoiser: as in `diffusion_explorer`.
        images: `(m, side, side, 1)` test digits to begin with; float in [0, 1], or uint8.
        labels: `(m,)` what they are.

    Returns:
        The widget: leave it last in the cell.

    Raises:
        ValueError: if pictures and labels do not fit.
    """
    return inpainter_view.inpainter(inpainter_view.InpainterView(denoiser, images, labels))


def _choice(label, options, value=None):
    # Not a Dropdown: JupyterLab takes its arrow keys to move from cell to cell.
    value = options[0] if value is None else value
    return ipywidgets.SelectionSlider(options=options, value=value, description=label)
