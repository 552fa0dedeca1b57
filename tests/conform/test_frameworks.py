"""The real Flax, Keras, Equinox and MLX, each in a process of its own: the table of conventions.

Slow, and skipped where they are not installed: ``pip install -e ".[frameworks]"``.
"""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from bnlab.course.lessons.nb05.conventions import CONVENTIONS

pytestmark = pytest.mark.slow

EQUINOX_BATCH = """
import equinox

def batch_mode(channels, **settings):
    return equinox.nn.BatchNorm(channels, "batch", mode="batch", **settings)
"""

# Target, the library in the table of notebook 05, and the rows that are broken.
KEPT = []
FAR = "float32 at mean 1e4"
TARGETS = {
    "torch": ("torch.nn:BatchNorm2d", "PyTorch", KEPT),
    "flax": ("flax.linen:BatchNorm", "Flax", [FAR]),
    "flax nnx": ("flax.nnx:BatchNorm", "Flax", [FAR]),
    "keras jax": ("keras.layers:BatchNormalization", "Keras 3", KEPT),
    "keras torch": ("keras.layers:BatchNormalization", "Keras 3", [FAR]),
    "equinox": (
        "equinox.nn:BatchNorm",
        "Equinox",
        ["training ignores the running statistics", "float16 at mean 5"],
    ),
    "equinox batch": (
        "equinox_batch.py:batch_mode",
        "Equinox",
        ["running variance", "float16 at mean 5"],
    ),
    "mlx": ("mlx.nn:BatchNorm", None, KEPT),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the command prints for a framework, as a dict."""
    folder, made = tmp_path_factory.mktemp("targets"), {}
    (folder / "equinox_batch.py").write_text(EQUINOX_BATCH)

    def tell(name):
        package, _, backend = name.partition(" ")
        for needed in {package, *({backend} & {"jax", "torch"})}:
            if importlib.util.find_spec(needed) is None:
                pytest.skip(f"{needed} is not installed")
        if name not in made:
            words = ["conform", TARGETS[name][0], "--json"]
            code = f"from bnlab.tools.cli import app; app({words})"
            ran = subprocess.run(
                [sys.executable, "-c", code],
                cwd=folder,
                env=os.environ | {"KERAS_BACKEND": backend or "jax"},
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert ran.stdout, ran.stderr
            made[name] = json.loads(ran.stdout)
        return made[name]

    return tell


@pytest.mark.parametrize("name", TARGETS)
def test_which_rows_are_broken(told, name):
    found = [row["name"] for row in told(name)["rows"] if row["verdict"] == "broken"]
    assert found == TARGETS[name][2]


@pytest.mark.parametrize("name", [name for name, (_, library, _) in TARGETS.items() if library])
def test_the_table_of_notebook_05(told, name):
    convention = CONVENTIONS[TARGETS[name][1]]
    found = told(name)["conventions"]
    # Equinox is written for one example, whose axis 0 is axis 1 of a batch.
    axis = 1 if convention.channel_axis == 0 else convention.channel_axis
    assert found["channel axis"] == axis
    assert found["momentum multiplies"] == convention.multiplies
    assert found["default momentum"] == convention.momentum
    assert found["default eps"] == convention.eps
    # In its mode "batch" Equinox keeps a variance that follows neither rule.
    assert found.get("variance that is fed", convention.variance) == convention.variance


def test_mlx_has_the_conventions_of_torch(told):
    found = told("mlx")["conventions"]
    assert found.pop("channel axis") == -1
    torch = CONVENTIONS["PyTorch"]
    assert found == {
        "momentum multiplies": torch.multiplies,
        "default momentum": torch.momentum,
        "default eps": torch.eps,
        "variance that is fed": torch.variance,
    }
