"""Train a shipped model from scratch: run its notebook in the `full` profile, or its script.

    python tools/make_checkpoint.py NAME

The notebook keeps its progress in `.cache/`, so a run that was stopped goes on where it was. The
executed notebook lies in `build/`; the checkpoint is where the notebook saves it.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Which notebook trains which checkpoint.
NOTEBOOK_OF = {
    "cnn": "01_cnn.ipynb",
    "style": "02_style_transfer.ipynb",
    "gan": "03_gan.ipynb",
    "vae": "04_vae.ipynb",  # and "vae-maps"
    "pixelcnn": "05_pixelcnn.ipynb",  # and "pixelcnn-grey"
    "diffusion": "06_diffusion.ipynb",
}
SCRIPT_OF = {"judge": "train_judge.py"}  # no lesson, but what generators are measured with


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(NOTEBOOK_OF | SCRIPT_OF))
    name = parser.parse_args(arguments).name
    # The kernel is this environment's, whatever kernels the user has registered.
    os.environ.pop("JUPYTER_PATH", None)
    os.environ |= {"JUPYTER_PREFER_ENV_PATH": "1", "COURSE_PROFILE": "full"}
    if name in SCRIPT_OF:
        return subprocess.call([sys.executable, ROOT / "tools" / SCRIPT_OF[name]], cwd=ROOT)

    import papermill

    output = ROOT / "build" / f"checkpoint-{name}.ipynb"
    output.parent.mkdir(exist_ok=True)
    try:
        papermill.execute_notebook(
            ROOT / "notebooks" / NOTEBOOK_OF[name],
            output,
            parameters={"PROFILE": "full"},
            kernel_name="python3",
            cwd=ROOT / "notebooks",
            log_output=True,
        )
    except papermill.PapermillExecutionError as error:
        print(f"cell [{error.exec_count}] of {output} raised {error.ename}: {error.evalue}")
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; `make checkpoint NAME={name}` goes on from here", file=sys.stderr)
        return 130
    from course_utils import runtime

    for folder in (runtime.cache_dir() / "training").glob(f"{name}*"):
        shutil.rmtree(folder)  # it is finished: the next call trains from scratch
    print(f"trained; the executed notebook is {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
