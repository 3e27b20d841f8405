"""Write data/manifest.json and the table in data/README.md, from the files that are there.

    python data/build/manifest.py

Run it whenever a file of data/ was added or built anew. What a new file is and under which licence
is written by hand in origins.toml. With `--check` it writes nothing and fails if anything differs.
"""

import argparse
import fnmatch
import hashlib
import json
import tomllib
from pathlib import Path

import mosaic

ORIGINS = Path(__file__).with_name("origins.toml")
FOLDERS = ("checkpoints", "cifar10", "images", "mnist")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def describe(name, origins):
    """What origins.toml says of a file; SystemExit if it says nothing."""
    for origin in origins:
        if fnmatch.fnmatchcase(name, origin["path"]):
            return {key: value for key, value in origin.items() if key != "path"}
    raise SystemExit(f"{name}: no pattern of {ORIGINS.name} matches it; add its origin there")


def make(data=mosaic.DATA):
    """The manifest of the files below `data`, as the text of manifest.json."""
    origins = tomllib.loads(ORIGINS.read_text(encoding="utf-8"))["file"]
    old = data / "manifest.json"
    known = json.loads(old.read_text(encoding="utf-8"))["files"] if old.exists() else []
    encoders = {(entry["path"], entry["sha256"]): entry.get("encoder") for entry in known}
    files = []
    paths = [path for folder in FOLDERS for path in (data / folder).rglob("*") if path.is_file()]
    for path in sorted(paths):
        name, content = path.relative_to(data).as_posix(), path.read_bytes()
        if path.name.startswith("."):
            continue
        entry = {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        entry |= describe(name, origins)
        if encoder := encoders.get((name, entry["sha256"])) or mosaic.encoder(path.suffix):
            entry["encoder"] = encoder
        files.append(entry)
    return json.dumps({"files": files}, indent=1, ensure_ascii=False) + "\n"


def table(manifest):
    """The manifest as a Markdown table."""
    rows = ["| file | bytes | origin | licence | SHA-256 |", "| --- | ---: | --- | --- | --- |"]
    files = json.loads(manifest)["files"]
    for entry in files:
        origin = entry["origin"] + (f" (`build/{entry['script']}`)" if entry["script"] else "")
        cells = [f"`{entry['path']}`", f"{entry['bytes']:,}", origin, entry["licence"]]
        rows.append(f"| {' | '.join(cells)} | `{entry['sha256']}` |")
    total = sum(entry["bytes"] for entry in files)
    rows.append(f"\n{len(files)} files, {total / 1e6:.1f} MB in all.")
    return "\n".join(rows)


def fill_in(readme, manifest):
    """The text of README.md with its table replaced."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table(manifest)}\n\n{END}{rest.split(END)[1]}"


def main():
    """Write both, or check both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args()
    manifest_path, readme_path = mosaic.DATA / "manifest.json", mosaic.DATA / "README.md"
    manifest = make()
    readme = fill_in(readme_path.read_text(encoding="utf-8"), manifest)
    for path, text in ((manifest_path, manifest), (readme_path, readme)):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            raise SystemExit(f"{path} is not up to date; run python data/build/manifest.py")
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
