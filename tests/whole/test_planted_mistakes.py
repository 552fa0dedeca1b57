"""A notebook must notice when the package it teaches is wrong.

Each test copies the package and one notebook, plants one mistake in the copy, and expects that a
cell of the notebook fails. A notebook that passes with the mistake only prints what bnlab believes.
"""

import re
import shutil
from dataclasses import dataclass

import nbformat
import pytest
from room import ROOM, ROOT, copy_files, run_notebooks

pytestmark = pytest.mark.slow

BATCHNORM, NORMS = "bnlab/batchnorm.py", "bnlab/layers/norms.py"
GHOSTS = "bnlab/course/lessons/nb07/ex_ghost_batches.py"


@dataclass(frozen=True)
class Mistake:
    """`wrong` takes the place of `right`, which is the code of one line."""

    name: str
    notebook: str
    module: str
    right: str
    wrong: str


MISTAKES = [
    Mistake("ddof_1", "02", BATCHNORM,
          "var = channels.dots(x_centred, x_centred, x) / m",
          "var = channels.dots(x_centred, x_centred, x) / (m - 1)"),
    Mistake("eps_outside_the_root", "02", BATCHNORM,
          "inv_std = 1 / np.sqrt(var + eps)",
          "inv_std = 1 / (np.sqrt(var) + eps)"),
    Mistake("detached_mean", "03", BATCHNORM,
          "dx -= channels.spread(dbeta / m, dy)",
          "pass"),
    Mistake("gamma_missing_in_dx", "03", BATCHNORM,
          "dx *= channels.spread(cache.gamma * cache.inv_std, dy)",
          "dx *= channels.spread(cache.inv_std, dy)"),
    Mistake("momentum_reversed", "05", NORMS,
          "new = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum",
          "new = 1 / int(self.num_batches_tracked) if not self.momentum else 1 - self.momentum"),
    Mistake("biased_running_variance", "05", NORMS,
          "self.running_var += new * (var * (m / (m - 1)))  # unbiased",
          "self.running_var += new * var"),
    # The old statistics still normalize this batch; with m = N + 1 a single example does not
    # divide by zero, which any notebook would notice.
    Mistake("statistics_updated_in_eval", "05", NORMS,
          "mean, var = self.running_mean, self.running_var",
          "mean, var = self.running_mean.copy(), self.running_var.copy(); "
          "self._track(x.mean(axis=0), x.var(axis=0), m=len(x) + 1)"),
    Mistake("unfolded_eps", "05", BATCHNORM,
          "scale = gamma / np.sqrt(running_var + eps)  # (out,)",
          "scale = gamma / np.sqrt(running_var)"),
    # Right for (N, C), and the shapes and the cache stay right for images.
    Mistake("statistics_over_n_only", "06", BATCHNORM,
          "y = x_centred * channels.spread(gamma * inv_std, x)",
          "y = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + eps)"
          " * channels.spread(gamma, x)"),
    Mistake("wrong_ghost_split", "07", GHOSTS,
          "ghosts = x.reshape(-1, ghost_size, x.shape[1])  # (ghosts, ghost_size, C)",
          "ghosts = x.reshape(ghost_size, -1, x.shape[1])"),
]  # fmt: skip


def copy_course(folder, number):
    """Copy the package, its data, one notebook and the room; the path of the notebook's copy."""
    without_caches = shutil.ignore_patterns("__pycache__")
    for name in ("bnlab", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=without_caches)
    (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    copy_files(folder, *ROOM, notebook.relative_to(ROOT))
    return folder / notebook.relative_to(ROOT)


def plant(mistake, folder):
    path = folder / mistake.module
    source = path.read_text(encoding="utf-8")
    lines = [line.strip() for line in source.splitlines()]
    found = lines.count(mistake.right)
    assert found == 1, (
        f"{mistake.module} has {found} lines {mistake.right!r}: move the mistake along"
    )
    assert source.count(mistake.right) == 1
    path.write_text(source.replace(mistake.right, mistake.wrong), encoding="utf-8")


def tell_where(folder):
    """Write a notebook that passes only if its kernel imports the copy in folder."""
    output = nbformat.v4.new_output("stream", name="stdout", text=f"{folder.resolve()}\n")
    source = "from bnlab.data import course_files\n\nprint(course_files())"
    cell = nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "where.ipynb")
    return folder / "where.ipynb"


@pytest.mark.parametrize("number", sorted({mistake.notebook for mistake in MISTAKES}))
def test_notebook_passes_without_a_mistake(tmp_path, number):
    notebook = copy_course(tmp_path, number)
    result = run_notebooks(tmp_path, [tell_where(tmp_path), notebook])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=lambda mistake: f"{mistake.notebook}-{mistake.name}"
)
def test_notebook_fails_with_the_mistake(tmp_path, mistake):
    notebook = copy_course(tmp_path, mistake.notebook)
    plant(mistake, tmp_path)
    result = run_notebooks(tmp_path, [notebook], "-x")
    # The cells before the failing one passed, the imports among them: the copy is not broken.
    stopped_at_a_cell = re.search(r"^1 failed, \d+ passed", result.stdout, re.MULTILINE)
    assert stopped_at_a_cell, f"{notebook.name} did not notice {mistake.name}\n{result.stdout}"
