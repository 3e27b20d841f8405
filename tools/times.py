"""How long notebooks take: one record for `make run`, `make test` and the text that quotes them."""

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMES = ROOT / "build" / "times.json"

NOTEBOOK_SECONDS = 180
CELL_SECONDS = 60
FIRST_PICTURE_SECONDS = 30


@dataclass
class NotebookTime:
    """The measured run of one notebook; `cells` holds (seconds, label) of each code cell."""

    name: str
    seconds: float = 0.0
    first_picture: float | None = None
    cells: list[tuple[float, str]] = field(default_factory=list)

    def add(self, seconds: float, label: str, *, picture: bool) -> None:
        """Count one cell that took `seconds` and, where `picture`, left a picture."""
        self.seconds += seconds
        self.cells.append((seconds, label))
        if picture and self.first_picture is None:
            self.first_picture = self.seconds

    @property
    def slowest(self) -> tuple[float, str]:
        """Return (seconds, label) of the slowest cell."""
        return max(self.cells, default=(0.0, "no cell"))

    def over_budget(self) -> list[str]:
        """Return a sentence for each limit of the `lesson` profile that this run broke."""
        found = []
        if self.seconds > NOTEBOOK_SECONDS:
            found.append(f"{self.name} took {self.seconds:.0f} s, allowed are {NOTEBOOK_SECONDS} s")
        found += [
            f"{self.name}: {label} took {seconds:.0f} s, allowed are {CELL_SECONDS} s"
            for seconds, label in self.cells
            if seconds > CELL_SECONDS
        ]
        if self.cells and self.first_picture is None:
            found.append(f"{self.name} showed no picture")
        elif self.first_picture is not None and self.first_picture > FIRST_PICTURE_SECONDS:
            found.append(
                f"{self.name} showed its first picture after {self.first_picture:.0f} s, "
                f"allowed are {FIRST_PICTURE_SECONDS} s"
            )
        return found


def has_picture(outputs: list[dict]) -> bool:
    """Is there a picture among a cell's outputs?"""
    return any(mime.startswith("image/") for output in outputs for mime in output.get("data", ()))


def in_words(seconds: float) -> str:
    """Return a duration for a reader, to ten seconds: `2 min 10 s`."""
    minutes, rest = divmod(max(10, round(seconds / 10) * 10), 60)
    return " ".join([f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest))


def report(times: list[NotebookTime]) -> list[str]:
    """Return lines that show each notebook's time, its first picture and its slowest cell."""
    lines = []
    for time in times:
        seconds, label = time.slowest
        first = "none" if time.first_picture is None else f"{time.first_picture:.1f} s"
        lines.append(
            f"{time.name:<20} {time.seconds:6.1f} s   first picture {first:>7}   "
            f"slowest cell {seconds:.1f} s ({label})"
        )
    return lines


def save(times: list[NotebookTime], path: Path = TIMES) -> None:
    """Write the measurements as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"cpu_count": os.cpu_count(), "notebooks": [asdict(time) for time in times]}
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")


def quote(text: str, name: str, seconds: float) -> str:
    """Put a notebook's time between `<!-- time NAME -->` and `<!-- /time -->` in `text`."""
    marks = re.compile(rf"(<!-- time {re.escape(name)} -->).*?(<!-- /time -->)", re.DOTALL)
    return marks.sub(rf"\g<1>{in_words(seconds)}\g<2>", text)
