"""The course in a browser: JupyterLite with the notebooks and bnlab, in `lite/` of the site.

Its kernel is Pyodide, CPython as WebAssembly, which a browser fetches from Pyodide's own CDN with
NumPy, Matplotlib and what else is listed in `FROM_PYODIDE`. What Pyodide lacks comes from this
site: bnlab, and `comm`, on which the kernel stands. All of it is there before the first cell runs,
so the notebooks need no line of their own for it. Building asks no other machine for anything.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bnlab.tools.lab import unopened
from bnlab.tools.workshop.installing import pack

__all__ = ["FOLDER", "build", "build_wheel", "is_possible", "line", "needing_torch",
           "pyodide_version", "summary"]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "lite"
# The kernel and all that `import bnlab` and the notebooks import; sympy comes when a cell asks.
FROM_PYODIDE = ("micropip", "ipython", "jedi", "numpy", "matplotlib", "joblib", "packaging",
                "platformdirs", "rich")  # fmt: skip
FROM_HERE = "../../../../pypi"  # as the kernel's worker sees it, in the `static` of its extension
# What a learner does is kept in the browser, beside the notebooks: a reload does not lose it.
KEPT = {"BNLAB_HOME": "/drive/.bnlab"}
# As its kernel names itself: a notebook that says otherwise is marked as changed once it is open.
KERNEL = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
LANGUAGE = {"name": "python", "version": "3.8", "mimetype": "text/x-python",
            "file_extension": ".py", "nbconvert_exporter": "python", "pygments_lexer": "ipython3",
            "codemirror_mode": {"name": "python", "version": 3}}  # fmt: skip


def is_possible():
    """Whether what builds it is installed; without it the site is built as ever."""
    tools = ("jupyterlite_core", "jupyterlite_pyodide_kernel", "hatchling")
    return all(importlib.util.find_spec(tool) for tool in tools)


def pyodide_version():
    """The version of Pyodide that the kernel asks its CDN for."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    return PYODIDE_VERSION


# What the pages say


def link(notebook, words, up=""):
    """A link that opens a notebook such as "00_start_here" in the browser edition."""
    return f'<a href="{up}{FOLDER}/lab/index.html?path={notebook}.ipynb">{words}</a>'


def needing_torch(cells):
    """How many code cells need PyTorch, which Pyodide lacks, and only say so without it."""
    return sum('available("torch"' in "".join(cell["source"]) for cell in cells)


def line(notebook, cells):
    """What stands below the title of a notebook: the link, what it costs, what will be missing."""
    number = needing_torch(cells)
    without = f" Cells that need PyTorch, {number} here, only say so." if number else ""
    return (
        f"{link(notebook, 'Open this notebook in your browser', '../')}: nothing to install, on a "
        f"screen wider than a phone's; the first start fetches some tens of MB.{without} "
        "[](../index.md#in-your-browser) says what was tested."
    )


def summary():
    """What the first page says of it."""
    start = link("00_start_here", "Open notebook 00 in your browser")
    return f"""{start}, or any other from its page. There is
nothing to install: JupyterLite runs here, on [Pyodide](https://pyodide.org) {pyodide_version()}.
It needs a screen wider than a phone's. The first start fetches some tens of MB from Pyodide's CDN,
`cdn.jsdelivr.net`, and no other host is asked. What you write stays in this browser, with
`my_batchnorm.py` and your progress; download what you want to keep. Cells that need PyTorch say
so, and explorations are still pictures there.

What was tested: without a network, in Chromium, that the site is built, the kernel starts, bnlab is
installed, and files outlive a reload; and, outside a browser, that all notebooks print on NumPy for
WebAssembly what is stored. `import bnlab` in Pyodide was not tested: its NumPy comes from the CDN.
"""


# How it is built


def build(target, notebooks):
    """Write the browser edition to a folder, with the notebooks of another one, not yet run."""
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as workshop:
        files, wheels = Path(workshop, "files"), Path(workshop, "pypi")  # as JupyterLite has them
        files.mkdir()
        wheels.mkdir()
        for notebook in notebooks.glob("*.ipynb"):
            (files / notebook.name).write_text(untouched(notebook), encoding="utf-8")
        build_wheel(wheels)
        pack("comm", wheels)
        settings = json.dumps(settings_for(sorted(wheels.iterdir())), indent=1)
        Path(workshop, "jupyter-lite.json").write_text(settings, encoding="utf-8")
        build_lite(workshop, target)
    keep_notices(target / "LICENSES")


def untouched(notebook):
    """The text of a notebook for this kernel, without outputs: they would stand below "predict"."""
    content = json.loads(unopened(notebook.read_bytes()))
    content["metadata"] |= {"kernelspec": KERNEL, "language_info": LANGUAGE}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def build_lite(workshop, target):
    """Let JupyterLite put together what lies in a folder; nothing else is taken from here."""
    small = ["--apps", "lab", "--no-sourcemaps", "--no-unused-shared-packages"]
    alone = ["--ignore-sys-prefix", f"--LiteBuildConfig.federated_extensions={extension()}"]
    places = ["--lite-dir", workshop, "--output-dir", target.resolve()]
    call([sys.executable, "-m", "jupyterlite_core", "build", *places, *small, *alone], workshop)


def extension():
    """The folder of the kernel's extension, which is the only one that is shipped."""
    files = importlib.metadata.files("jupyterlite-pyodide-kernel")
    (found,) = [file for file in files if file.match("pyodide-kernel-extension/package.json")]
    return found.locate().resolve().parent


def build_wheel(folder):
    """Build the wheel of bnlab from this tree, with what is installed."""
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder]
    call([sys.executable, "-m", "pip", "wheel", "--quiet", *offline, ROOT], folder)


def settings_for(wheels):
    """What `jupyter-lite.json` says: what the kernel has before the first cell runs."""
    packages = [*FROM_PYODIDE, *(f"{FROM_HERE}/{wheel.name}" for wheel in wheels)]
    kernel = {"loadPyodideOptions": {"packages": packages, "env": KEPT}}
    plugins = {"@jupyterlite/pyodide-kernel-extension:kernel": kernel}
    return {"jupyter-lite-schema-version": 0,
            "jupyter-config-data": {"appName": "bnlab", "litePluginSettings": plugins}}  # fmt: skip


def keep_notices(folder):
    """Copy the licences of what the site ships from others; the apps carry those of their parts."""
    folder.mkdir()
    for name in ("jupyterlite-core", "jupyterlite-pyodide-kernel", "comm"):
        for file in importlib.metadata.files(name):
            if file.parent.name == "licenses":
                shutil.copy(file.locate(), folder / f"{name}.txt")


def call(command, folder):
    """Run a program; what it says is shown only if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[1:4]} failed:\n{done.stdout}{done.stderr}")
