"""Thin shells around pure render functions: controls, one picture updated in place, messages.

`Live` renders at each change of a control and is for work under 100 ms; what takes longer is in
`slow`. What goes wrong is shown in the widget itself, because JupyterLab shows nothing of what
happens in a widget's callback.
"""

import base64
import contextlib
import html
import io
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping

import ipywidgets
import numpy as np

from course_utils import pads, runtime
from course_utils import render as drawing

# by Reset, in this order: a value must fit
_RESTORED = ("options", "max", "min", "extent", "picture", "value")

# Labels in line with the picture, and room for a word where ipywidgets leaves it for a number.
_STYLE = """<style>
.course-shell .widget-label { text-align: left; }
.course-shell .widget-readout { min-width: 10em; padding-left: 6px; text-align: left; }
</style>"""
_TEXT = (
    '<div role="{role}" style="line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere;'
    'color:{colour}">{text}</div>'
)


class Live:
    """Controls and a picture that follows them.

    Leave it last in a cell, or `display` it. Beside the live view its output carries the first
    picture, or what `still` draws of the first state, as a PNG for readers without a kernel.

    Args:
        render: `state -> (height, width[, 3])` uint8, where `state` maps the name of each control
            to its value; for a `FileUpload`, what `read` made of the file, or None.
        controls: named ipywidgets; each must have a description, which is its label. Choose among
            few things with a SelectionSlider: JupyterLab takes the arrow keys from a Dropdown. Pads
            (`pads`) stand left of the picture.
        name: of this widget; it gets the CSS class `course-<name>`, each control
            `course-<control>`, the buttons `course-reset` and so on.
        alt: what the picture shows, in one sentence.
        read: turns the bytes of an uploaded file into what `render` gets. A ValueError is a
            sentence for the user; the picture stays as it is.
        adjust: called as `adjust(shell, name)` when the user has changed the control `name`, before
            rendering; it may set the values of other controls or `shell.files`.
        describe: `state -> str`, one line below the picture that says in words what it shows.
        still: as `render`, for readers without a kernel, where the picture alone does not say
            enough: one beside a pad, say.

    Attributes:
        controls: the controls, by name.
        files: what the last upload of each `FileUpload` was read as, by name.
        box: the ipywidget that holds everything.
    """

    def __init__(
        self,
        render: Callable[[dict], np.ndarray],
        controls: Mapping[str, ipywidgets.Widget],
        *,
        name: str,
        alt: str,
        read: Callable[[bytes], object] | None = None,
        adjust: Callable[["Live", str], None] | None = None,
        describe: Callable[[dict], str] | None = None,
        still: Callable[[dict], np.ndarray] | None = None,
    ):
        self.controls = dict(controls)
        self.files = {key: None for key, control in self.controls.items() if _is_upload(control)}
        for key, control in self.controls.items():
            if not getattr(control, "description", ""):
                raise ValueError(
                    f"Each control needs a description as its label; {key!r} has none."
                )
        if self.files and read is None:
            raise ValueError(f"The upload {next(iter(self.files))!r} needs read=, a file reader.")
        self._render, self._read = render, read
        self._adjust, self._describe = adjust, describe
        self._alt = alt
        self._initial = {
            key: {trait: getattr(control, trait) for trait in _RESTORED if control.has_trait(trait)}
            for key, control in self.controls.items()
            if key not in self.files
        }
        self._quiet = False  # whether changes of values are our own
        self._image = ipywidgets.Image(format="png")
        self._image.layout.max_width = "100%"
        self._image.layout.height = "auto"  # keeps the proportions in a narrow window
        self._image.layout.margin = "2px 0"
        self._image.layout.border = "1px solid #bdbdbd"
        self._image.add_class("course-picture")
        self._caption = ipywidgets.HTML()
        self._caption.add_class("course-caption")
        self._message = ipywidgets.HTML()
        self._message.add_class("course-message")
        self._first_png = b""
        self._assemble(name)
        self._show()
        if still is not None:
            with self._report():
                self._first_png = drawing.encode_png(still(self.state()), level=9)

    def state(self) -> dict:
        """Return what `render` gets: the values of the controls, and the files."""
        return {key: control.value for key, control in self.controls.items()} | self.files

    def reset(self) -> None:
        """Set every control to its first value, forget the files, and render once."""
        with self._silence():
            self._say("")
            self.files = dict.fromkeys(self.files)
            for key, traits in self._initial.items():
                for trait, value in traits.items():
                    setattr(self.controls[key], trait, value)
        self._refresh()

    def _assemble(self, name: str) -> None:
        squares = {key: control for key, control in self.controls.items() if _is_pad(control)}
        labels = [
            control.description
            for key, control in self.controls.items()
            if not _is_upload(control) and key not in squares
        ]
        label_width = 0.6 * max(map(len, labels), default=0) + 0.4
        for key, control in self.controls.items():
            control.add_class(f"course-{key}")
            if not _is_upload(control) and key not in squares:
                control.style.description_width = f"{label_width:.1f}em"
                control.layout.width = "auto"
            control.observe(lambda change, key=key: self._changed(key, change.new), "value")
        reset = ipywidgets.Button(description="Reset", tooltip="Back to the first state")
        reset.add_class("course-reset")
        reset.on_click(lambda _: self.reset())
        grid = ipywidgets.GridBox(
            [
                control
                for key, control in self.controls.items()
                if key not in self.files and key not in squares
            ],
            layout=ipywidgets.Layout(
                grid_template_columns="repeat(auto-fill, minmax(min(300px, 100%), 1fr))",
                grid_gap="0 20px",
            ),
        )
        buttons = ipywidgets.HBox(
            [*self._buttons(), *(self.controls[key] for key in self.files), reset],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )
        picture = self._image
        if squares:
            picture = ipywidgets.HBox(
                [ipywidgets.VBox(list(squares.values())), self._image],
                layout=ipywidgets.Layout(
                    flex_flow="row wrap", align_items="flex-start", grid_gap="0 16px"
                ),
            )
        style = ipywidgets.HTML(_STYLE, layout=ipywidgets.Layout(height="0", margin="0"))
        self.box = ipywidgets.VBox(
            [style, grid, buttons, *self._bars(), self._message, picture, self._caption],
            layout=ipywidgets.Layout(max_width="1000px"),
        )
        self.box.add_class("course-shell")
        self.box.add_class(f"course-{name}")

    def _buttons(self) -> list[ipywidgets.Widget]:
        return []

    def _bars(self) -> list[ipywidgets.Widget]:
        return []

    def _changed(self, key: str, value) -> None:
        if self._quiet or (key in self.files and not value):
            return
        self._say("")
        if key in self.files and not self._take_file(key, value[0]):
            return
        if self._adjust:
            with self._silence(), self._report():
                self._adjust(self, key)
        self._refresh()

    def _take_file(self, key: str, upload) -> bool:
        """Read an uploaded file; say in one sentence what is wrong with it and return False."""
        with self._silence():
            self.controls[key].value = ()  # so that the same file can be chosen again
        content = bytes(upload.content)
        try:
            self.files[key] = self._read(content)
        except ValueError as error:
            self._say(f"{upload.name}: {error}", alert=True)
        except Exception:
            self._say(traceback.format_exc(limit=-2), alert=True)
        else:
            return True
        return False

    def _refresh(self) -> None:
        """Follow a change of the controls."""
        self._show()

    def _show(self) -> None:
        state = self.state()
        with self._report():
            self._put(self._render(state))
            self._caption.value = self._say_in_words(state)

    def _put(self, picture: np.ndarray) -> None:
        data = drawing.encode_png(picture, filters=False)
        if not self._first_png:
            self._first_png = drawing.encode_png(picture, level=9)
        height, width = np.shape(picture)[:2]
        with self._image.hold_sync():
            self._image.width, self._image.height = str(width), str(height)
            self._image.value = data

    def _say_in_words(self, state: dict) -> str:
        return _line(self._describe(state)) if self._describe else ""

    def _say(self, text: str, alert: bool = False) -> None:
        self._message.value = _line(text.strip(), alert) if text.strip() else ""

    @contextlib.contextmanager
    def _report(self) -> Iterator[None]:
        """Hold the models; show above the picture what is printed, and what is raised."""
        with runtime.model_lock, _Prints() as prints:
            try:
                yield
            except (Exception, KeyboardInterrupt) as error:
                print("".join(traceback.format_exception(error, limit=-1)))
                failed = True
            else:
                failed = False
            if text := prints.text():
                self._say(text, alert=failed)

    @contextlib.contextmanager
    def _silence(self) -> Iterator[None]:
        """Let values be set without rendering."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = dict(self.box._repr_mimebundle_())
        data["text/plain"] = self._alt
        if self._first_png:
            data["image/png"] = base64.b64encode(self._first_png).decode("ascii")
        return data, {"image/png": {"alt": self._alt}}


class _Prints(io.TextIOBase):
    """Catch what this thread prints; other threads print as before."""

    def __enter__(self):
        self._parts = []
        self._thread = threading.get_ident()
        self._before, sys.stdout = sys.stdout, self
        return self

    def __exit__(self, *_):
        sys.stdout = self._before

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            self._parts.append(text)
            return len(text)
        return self._before.write(text)

    def flush(self) -> None:
        if threading.get_ident() != self._thread:
            self._before.flush()

    def text(self) -> str:
        return "".join(self._parts)


def _is_pad(control) -> bool:
    """Tell whether a control is a square to work on, which belongs beside the picture."""
    return isinstance(control, pads.DrawPad | pads.PointPad)


def _is_upload(control) -> bool:
    return isinstance(control, ipywidgets.FileUpload)


def _line(text: str, alert: bool = False) -> str:
    colour = "var(--jp-error-color1, #b3261e)" if alert else "var(--jp-ui-font-color1, inherit)"
    return _TEXT.format(role="alert" if alert else "status", colour=colour, text=html.escape(text))
