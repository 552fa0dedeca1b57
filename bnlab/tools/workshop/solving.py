"""The instructor's notebook: notes under the headings, solutions filled in, everything executed."""

import copy
import os
import subprocess
import tempfile

from bnlab.course.exercises.helping import solution_source
from bnlab.tools.workshop.formulas import load
from bnlab.tools.workshop.plans import SCRIPT, WorkshopError, mark, parts_of

__all__ = ["execute", "with_notes", "with_solutions"]

CELL_SECONDS = 120
# A kernel would take these over: a grader's checks raise, another backend draws no picture.
FOREIGN = ("NBGRADER_EXECUTION", "MPLBACKEND")


def with_notes(notebook):
    """Copy of a cut notebook with the instructor's notes, and a script at each question."""
    notebook = copy.deepcopy(notebook)
    for part in parts_of(notebook):
        if part.minutes:
            heading, *text = part.cells[0].source.split("\n")
            note = f"> **Instructor:** {part.minutes} min. {part.note}".rstrip()
            part.cells[0].source = "\n".join([heading, "", note, *text])
    notebook.cells = [cell for old in notebook.cells for cell in (*_script(old), old)]
    return notebook


def _script(cell):
    """What to say at a question, in a cell of its own above the answer."""
    if not mark(cell, "script"):
        return []
    lines = [f"**{label}.** {mark(cell, 'script')[part]}" for part, label in SCRIPT.items()]
    words = "\n>\n> ".join(["> **Instructor, 90 seconds**", *lines])
    return [load("nbformat.v4").new_markdown_cell(words, id=f"script-{cell.id}")]


def with_solutions(notebook):
    """Copy of a notebook in which each exercise is answered by its reference."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if mark(cell, "exercise"):
            cell.source = "import numpy as np\n\n\n" + solution_source(mark(cell, "exercise"))
    return notebook


def execute(notebook, name):
    """Run a notebook in place, in a kernel whose checks count for nobody."""
    failures = load("nbclient.exceptions")
    known = (failures.CellExecutionError, failures.CellTimeoutError, failures.DeadKernelError)
    with tempfile.TemporaryDirectory(prefix="bnlab-", ignore_cleanup_errors=True) as home:
        client = load("nbclient").NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": home}},
        )
        # What the kernel says about itself would only disturb the reader of the terminal.
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            with client.setup_kernel(env=_environment(home), **silent):
                _run_cells(client, notebook)
        except known as failure:  # its last line, without the colours of a terminal
            *_, reason = load("nbconvert.filters").strip_ansi(str(failure)).strip().splitlines()
            raise WorkshopError(
                f"the notebook {name} with its solutions did not run to its end ({reason}); "
                "bnlab doctor says whether this computer is ready for the course"
            ) from failure


def _run_cells(client, notebook):
    """Cell by cell: `client.execute()` would turn Ctrl-C into a kernel that died."""
    client.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)


def _environment(home):
    """What the kernel gets: its own record of progress, and one thread, as in `bnlab lab`."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return one_thread | kept | {"BNLAB_HOME": home}
