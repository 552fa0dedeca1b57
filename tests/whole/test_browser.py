"""JupyterLab as a learner uses it: run, move a picture, answer wrongly, then rightly."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="process groups and signals are those of POSIX"),
]

BNLAB = [sys.executable, "-c", "from bnlab.tools.cli import app; app()"]
PATIENCE = 120_000  # ms: a shared machine may be slow, and nothing here waits longer than it must
WRONG = """def batchnorm_forward(x, gamma, beta, eps):
    mean = x.mean(axis=0)
    var = ((x - mean) ** 2).sum(axis=0) / (len(x) - 1)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta
"""
RIGHT = WRONG.replace("(len(x) - 1)", "len(x)")


@pytest.fixture
def home(tmp_path):
    """Environment of a learner whose settings, runtime files and progress are all new."""
    folders = ("BNLAB_HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR",
               "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")  # fmt: skip
    return os.environ | {name: str(tmp_path / name) for name in folders}


@pytest.fixture
def lab(tmp_path, home):
    """The address of a JupyterLab that `bnlab lab` has started, with its token."""
    with started("bnlab lab desk", tmp_path, home) as url:
        yield url


@pytest.fixture
def kit(tmp_path, home, monkeypatch):
    """The same for a participant of a workshop, who types what INSTALL.txt says."""
    pytest.importorskip("latex2mathml")
    from bnlab.tools.workshop import build as building
    from bnlab.tools.workshop.installing import START

    monkeypatch.setattr(building, "execute", lambda notebook, name: None)  # it is the instructor's
    monkeypatch.setattr(building.installing, "make_wheel", lambda folder: None)
    folder = building.build(tmp_path / "kit", 45)
    with zipfile.ZipFile(folder / "participants.zip") as archive:
        archive.extractall(tmp_path)
    with started(START, tmp_path / "participants", home) as url:
        yield url


@contextlib.contextmanager
def started(command, folder, home):
    """Run a command `bnlab lab` in a folder, and give the address that it prints."""
    pytest.importorskip("jupyterlab")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(home["BNLAB_HOME"]).with_name("log")
    with log.open("w") as stream:
        server = subprocess.Popen(
            [*BNLAB, *command.split()[1:], "--no-browser", "--port", str(port)],
            cwd=folder, env=home,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    try:
        yield address(log, server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def address(log, server):
    """The address that the server prints, as soon as it does."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        if found := re.search(
            r"http://127\.0\.0\.1:\d+/lab/tree/00_start_here\.ipynb\?token=\w+", log.read_text()
        ):
            return found[0]
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def open_notebook(page, lab, name):
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(lab.replace("00_start_here.ipynb", name))
    # Before this JupyterLab has no kernel yet, and Run All would only empty the cells.
    page.get_by_text(re.compile(r"^Python 3.* \| Idle$")).wait_for()


def run_all(page):
    """Run the notebook; handles are drawn only by a kernel, and by then all cells are queued."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_role("slider").first.wait_for(state="attached")
    expect(page.locator(".jp-InputPrompt", has_text=re.compile(r"\[[ *]\]"))).to_have_count(0)


def code_cell(page, text):
    """The code cell that contains this text; JupyterLab draws it when it comes into view."""
    cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=text))
    cell.scroll_into_view_if_needed()
    return cell


def answer(page, code):
    """Type an answer into the exercise, run it, run its check; return the cell of the check."""
    editor = code_cell(page, "def batchnorm_forward(").locator(".cm-content")
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    check = code_cell(page, 'check("batchnorm_forward", batchnorm_forward)')
    check.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    return check


def exercises_done(home):
    """What `bnlab progress` says about notebook 02."""
    command = [*BNLAB, "progress"]
    shown = subprocess.run(command, env=home, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"notebook 02: +(\d+) of", shown)[1])


def drag_to_the_right(page, handle):
    """Take a handle with the mouse and pull it out of the picture, in some steps."""
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(1270, box["y"], steps=5)
    page.mouse.up()


def normalized_by_python(page):
    """What the cell below the batch prints: the learner's function on the batch as it was left."""
    cell = code_cell(page, "np.array(batch.x, float)")
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputPrompt", has_text=re.compile(r"\[[ *]\]"))).to_have_count(0)
    return cell.locator(".jp-OutputArea-output")


def write(path, *cells):
    """A notebook of these cells, the first of which has `explore`."""
    import nbformat

    cells = ["from bnlab.course import explore\n" + cells[0], *cells[1:]]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(notebook, path)


def run(page, text):
    """Run the code cell that contains this text, and return it when it is done."""
    cell = code_cell(page, text)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
    return cell


def open_again_without_its_kernel(page, lab):
    """Save the notebook, end its kernel, and open it: the new kernel knows no widget."""
    page.keyboard.press("ControlOrMeta+s")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    home, token = re.match(r"(.*)/lab/.*token=(\w+)", lab).groups()
    authorized = {"headers": {"Authorization": f"token {token}"}}
    for session in page.request.get(f"{home}/api/sessions", **authorized).json():
        page.request.delete(f"{home}/api/sessions/{session['id']}", **authorized)
    page.reload()
    page.get_by_text(re.compile(r"^Python 3.* \| Idle$")).wait_for()


@pytest.mark.parametrize("place", ["lab", "kit"])
def test_the_first_page_is_notebook_00_as_nobody_has_touched_it(place, request, page):
    url = request.getfixturevalue(place)
    open_notebook(page, url, "00_start_here.ipynb")
    page.get_by_role("heading", name="Mend a dead network").wait_for()
    page.wait_for_timeout(3000)  # what JupyterLab would still note or ask comes after the kernel
    assert page.locator(".jp-mod-dirty").count() == 0
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    assert page.locator(".jp-OutputArea-output").count() == 0
    guard = page.locator(".jp-CodeCell").first
    expect(guard.locator(".jp-InputArea")).to_have_count(0)
    guard.get_by_text("only where bnlab is missing or old").wait_for()
    open_notebook(page, url, "glossary.ipynb")
    page.get_by_role("heading", name="Glossary").wait_for()
    page.wait_for_timeout(3000)
    assert page.locator(".jp-mod-dirty").count() == 0
    assert page.outside == []


def test_a_learner_runs_notebook_02_moves_a_batch_and_solves_an_exercise(lab, home, page):
    open_notebook(page, lab, "02_batchnorm_algorithm.ipynb")
    run_all(page)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0

    picture = code_cell(page, 'explore("batch")')
    expect(picture.locator(".bnlab-explore-still")).to_be_hidden()
    handle = picture.get_by_role("slider", name="value 5 of 5")
    drag_to_the_right(page, handle)
    expect(handle).to_have_attribute("aria-valuenow", "10")
    expect(normalized_by_python(page)).to_contain_text("[-0.77 -0.52 -0.4  -0.27  1.97]")
    handle.focus()
    page.keyboard.press("Home")
    expect(handle).to_have_attribute("aria-valuenow", "-10")
    expect(normalized_by_python(page)).to_contain_text("[ 0.22  0.46  0.58  0.71 -1.97]")

    check = answer(page, WRONG)
    check.get_by_text("You divide the sum of squares by m - 1").wait_for()
    assert exercises_done(home) == 0
    check = answer(page, RIGHT)
    check.get_by_text("✓ batchnorm_forward: correct").wait_for()
    assert exercises_done(home) == 1

    open_again_without_its_kernel(page, lab)
    picture = code_cell(page, 'explore("batch")')
    expect(picture.locator(".bnlab-explore-still img")).to_be_visible()
    expect(picture.get_by_text("Error displaying widget")).to_be_hidden()
    assert page.outside == []


MOVES = [
    ("batch", "gamma", "gamma", "1.1", "2"),
    ("company", "batch size m", "m", "32", "6"),  # its slider has the exponents, 2 to 7
    ("film", "step", "step", "5", "100"),
    ("projection", "turn", "turn", "46", "-90"),
]


@pytest.mark.parametrize(("name", "label", "key", "moved", "after"), MOVES)
def test_an_exploration_and_python_follow_each_other(
    lab, page, tmp_path, name, label, key, moved, after
):
    set_later = f"w.{key} = {2 ** int(after) if name == 'company' else after}"
    write(
        tmp_path / "desk" / "new.ipynb", f'w = explore("{name}")\nw', f"print(w.{key})", set_later
    )
    open_notebook(page, lab, "new.ipynb")
    picture = run(page, "w = explore(")
    slider = picture.get_by_role("slider", name=label)
    slider.focus()
    page.keyboard.press("ArrowUp")
    expect(slider).to_be_focused()  # else JupyterLab has gone to another cell
    expect(run(page, "print(").locator(".jp-OutputArea-output")).to_have_text(moved)
    run(page, set_later)
    expect(slider).to_have_value(after)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.outside == page.errors == []
