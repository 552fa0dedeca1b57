"""What `conform` takes, and the one sentence for what it does not take."""

import itertools
import subprocess
import sys
import textwrap

import layers
import numpy as np
import pytest
import torch

import bnlab
from bnlab.conform import Adapter, DoesNotApply, TargetError, conform, reference
from bnlab.course import mine
from bnlab.course.exercises.registry import find
from bnlab.layers import BatchNorm

FORWARD = find("batchnorm_forward").reference


def verdicts(report):
    return {row.name: row.verdict for row in report.rows}


@pytest.mark.parametrize(
    "target",
    [
        torch.nn.BatchNorm1d,
        torch.nn.BatchNorm2d,
        "torch.nn:BatchNorm1d",
        BatchNorm,
        "bnlab.layers:BatchNorm",
        bnlab.batchnorm,
        "bnlab.batchnorm",
        lambda channels, **settings: torch.nn.BatchNorm1d(channels, **settings),
    ],
    ids=itertools.count(),  # a text would hold addresses, which differ between workers
)
def test_no_row_is_broken(target):
    report = conform(target)
    assert report.ok, report


def test_torch_has_27_rows_and_no_convention():
    report = conform(torch.nn.BatchNorm1d)
    assert report.count == {"kept": 27, "does not apply": 4}
    assert report.conventions == {
        "channel axis": 1,
        "momentum multiplies": "new",
        "variance that is fed": "unbiased",
        "default momentum": 0.1,
        "default eps": 1e-5,
    }


def test_two_calls_do_not_apply_to_a_layer_that_remembers_one():
    row = conform(BatchNorm)["two calls before one backward"]
    assert row.verdict == "does not apply"
    assert "remembers its last forward pass only" in row.sentence


def test_what_cannot_be_set_is_measured():
    def make(channels):
        return layers.MomentumOfKeras(channels, eps=0.25, momentum=0.75)

    report = conform(make)
    assert report.ok, report
    assert report["default eps"].value == 0.25
    assert report["momentum multiplies"].sentence == "It cannot be set; the new value has 0.25."


# Functions of a learner


def test_a_function_by_itself():
    report = conform(FORWARD)
    assert report.ok
    assert report.parts["batchnorm_forward"] == "yours"
    assert report.parts["batchnorm_inference"] == "missing"
    assert verdicts(report)["output, 2-D"] == "kept"
    assert report["evaluation"].sentence == "batchnorm_inference is not in your library yet."


def test_a_function_is_known_by_its_name():
    inference = find("batchnorm_inference").reference
    report = conform(inference)
    assert report.parts["batchnorm_inference"] == "yours"
    assert report.parts["batchnorm_forward"] == "missing"
    assert report["evaluation"].verdict == "kept"


def test_another_function_is_known_by_its_arguments():
    report = conform(lambda x, gamma, beta, eps: FORWARD(x, gamma, beta, eps))
    assert report.parts["batchnorm_forward"] == "yours"
    assert report.ok


def test_what_mine_returns(capsys):
    report = conform(mine("batchnorm_forward"))
    assert report.parts["batchnorm_forward"] == "the course's"
    assert report.target == "the course's batchnorm_forward"
    functions = {"batchnorm_forward": FORWARD, "batchnorm_inference": mine("batchnorm_inference")}
    report = conform(functions)
    assert [report.parts[name] for name in functions] == ["yours", "the course's"]
    assert report.whose()[0] == "yours: batchnorm_forward"


def test_a_file(tmp_path):
    path = tmp_path / "my_batchnorm.py"
    path.write_text(
        "import numpy as np\nprint('loud')\n\n"
        "def update_running_stats(running_mean, running_var, x, momentum):\n"
        "    new = x.mean(axis=0), x.std(axis=0, ddof=1)\n"
        "    old = running_mean, running_var\n"
        "    return tuple((1 - momentum) * o + momentum * n for o, n in zip(old, new))\n"
    )
    report = conform(path)
    assert report["running mean"].verdict == "kept"
    assert report["running variance"].mistake == "standard_deviation"
    assert report["output, 2-D"].verdict == "does not apply"


def test_a_file_with_a_layer(tmp_path):
    path = tmp_path / "layers_of_mine.py"
    path.write_text("from torch.nn import BatchNorm1d as Norm\n")
    assert conform(f"{path}:Norm").ok


def test_images_need_the_function_for_images():
    report = conform({"batchnorm_forward": FORWARD})
    assert report["output, 4-D"].verdict == "does not apply"
    spatial = find("spatial_batchnorm_forward").reference
    report = conform({"spatial_batchnorm_forward": spatial})
    assert report["output, 4-D"].verdict == "kept"


def test_a_second_backward_has_a_row_of_its_own():
    staged, closed = find("batchnorm_backward_staged"), find("batchnorm_backward")
    detached = next(m for m in closed.mistakes if m.name == "detached_mean")
    report = conform({staged.name: staged.reference, closed.name: detached.answer})
    assert [row.name for row in report.rows if row.verdict == "broken"] == ["closed form"]
    assert report["closed form"].mistake == "detached_mean"


def test_a_function_that_raises_breaks_its_rows_and_no_others():
    def update_running_stats(running_mean, running_var, x, momentum):
        raise RuntimeError("not today\nor tomorrow")

    report = conform({"batchnorm_forward": FORWARD, "update_running_stats": update_running_stats})
    broken = [row for row in report.rows if row.verdict == "broken"]
    assert {row.part for row in broken} == {"running statistics"}
    assert broken[0].sentence == "It raises RuntimeError: not today."


# Adapters


class ByHand(Adapter):
    """NumPy, eight lines: only y and gradients."""

    dtypes = ("float64",)

    def __init__(self, gamma, beta, dtype, **settings):
        self.rest = gamma, beta, settings.get("eps", 1e-5)

    def train(self, x):
        y, cache = bnlab.batchnorm_forward(x, *self.rest)
        return y, lambda dy: bnlab.batchnorm_backward(dy, cache)


def test_an_adapter_says_what_it_can():
    report = conform(ByHand)
    assert report.ok, report
    assert report["dx"].verdict == "kept"
    assert report["two calls before one backward"].verdict == "kept"
    assert report["running mean"].sentence == "The adapter has no running()."
    assert report["evaluation ignores the batch"].sentence == "The adapter has no eval()."
    assert report["float32 at mean 1e4"].sentence == "The adapter offers no float32."


def test_a_layer_that_refuses_a_dtype_aloud_breaks_nothing():
    class Only64(BatchNorm):
        def forward(self, x):
            if x.dtype != np.float64:
                raise TypeError(f"float64, please; got {x.dtype}")
            return super().forward(x)

    report = conform(Only64)
    assert report.ok, report
    for dtype, mean in (("float32", "1e4"), ("float16", "5")):
        row = report[f"{dtype} at mean {mean}"]
        assert row.verdict == "does not apply"
        assert row.sentence == f"It refuses {dtype}: TypeError: float64, please; got {dtype}."


def test_the_place_of_an_eps_that_cannot_be_set_shows_in_float32_too():
    class Outside(Adapter):
        settings = ()

        def __init__(self, gamma, beta, dtype):
            self.gamma, self.beta = gamma, beta

        def train(self, x):
            std = np.sqrt(reference.rows(x).var(axis=0)) + 1e-5
            rows = (reference.rows(x) - reference.rows(x).mean(axis=0)) / std
            return reference.unrows(self.gamma * rows + self.beta, x.shape), None

    assert conform(Outside)["eps and its place"].verdict == "broken"


@pytest.mark.parametrize("axis", [1, -1])
def test_the_channel_axis_is_turned(axis):
    class Turned(ByHand):
        channel_axis = axis

        def train(self, x):
            assert x.flags.c_contiguous
            y, backward = super().train(np.moveaxis(x, axis, 1))

            def turned(dy):
                dx, *rest = backward(np.moveaxis(dy, axis, 1))
                return np.moveaxis(dx, 1, axis), *rest

            return np.moveaxis(y, 1, axis), turned

    report = conform(Turned)
    assert report.ok, report
    assert report["output, 4-D"].verdict == report["dx"].verdict == "kept"
    assert report["channel axis"].verdict == ("kept" if axis == 1 else "convention")


def test_an_adapter_may_say_that_a_row_does_not_apply():
    class Shy(ByHand):
        missing = {"gradients": "No gradients today."}  # noqa: RUF012

        def eval(self, x):
            raise DoesNotApply("Only by appointment.")

    report = conform(Shy)
    assert report["dx"].sentence == "No gradients today."
    assert report["evaluation"].sentence == "The adapter has no running()."
    assert report["evaluation ignores the batch"].sentence == "Only by appointment."


def test_an_adapter_without_a_backward():
    class Forward(ByHand):
        def train(self, x):
            return super().train(x)[0], None

    report = conform(Forward)
    assert report.ok
    assert report["dx"].sentence == "Its adapter has no backward."


def test_a_wrong_shape_breaks_the_row():
    class Flat(ByHand):
        def train(self, x):
            y, backward = super().train(x)
            return y, lambda dy: (backward(dy)[0].sum(axis=0), *backward(dy)[1:])

    assert conform(Flat)["dx"].verdict == "broken"


# What is refused, in one sentence


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            "nothing_here:BatchNorm",
            "^nothing_here is not installed here; install it where bnlab is",
        ),
        ("torch.nn:Nothing", r"^torch\.nn has no Nothing\.$"),
        ("torch.nn.nothing:A", r"^torch\.nn\.nothing cannot be imported: ModuleNotFoundError"),
        ("torch.nn", r"^torch\.nn defines none of batchnorm_forward, .*write torch\.nn:NAME\.$"),
        ("no/such/file.py", r"^There is no file no/such/file\.py\.$"),
        ("torch.nn:ReLU", r"takes no batch: The layer has no tensor named weight or gamma"),
        ("torch.nn:BatchNorm3d", r"BatchNorm3d takes no batch: .*expected 5D input"),
        ("torch.nn:GroupNorm", r"takes no batch: .*missing 1 required positional argument"),
        ("math:pi", r"^conform makes its own layers; it needs .*, got a float\.$"),
        ("builtins:dict", r"is of no framework that conform knows \(torch, keras, flax"),
        ("builtins:abs", r"abs is of no framework that conform knows"),
        (torch.nn.BatchNorm1d(3), r"^conform makes its own layers; .*got a BatchNorm1d\.$"),
        (lambda channels: 1 / 0, r"\(3\) makes no layer with 3 channels: ZeroDivisionError"),
        ({"batch_norm": FORWARD}, r"^conform knows the functions .*; got 'batch_norm'\.$"),
        (Adapter, r"takes no batch: It refuses \(N, C\): NotImplementedError"),
    ],
    ids=itertools.count(),  # a text would hold addresses, which differ between workers
)
def test_a_target_that_cannot_be_looked_at(target, sentence):
    with pytest.raises(TargetError, match=sentence):
        conform(target)


@pytest.mark.parametrize("text", ["1 / 0", "import sys; sys.exit()", "def f(:", "import no_such"])
def test_a_file_that_cannot_be_run(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(TargetError, match=r"mine\.py cannot be run: \w+"):
        conform(path)


def test_importing_it_loads_no_framework():
    code = """
        import sys
        import bnlab.conform
        from bnlab.conform import conform
        conform("bnlab.layers:BatchNorm")
        heavy = {"torch", "jax", "flax", "keras", "equinox", "mlx", "matplotlib", "rich"}
        print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_torch_in_the_time_that_was_promised():
    code = """
        import time
        start = time.process_time()
        from bnlab.conform import conform
        conform("torch.nn:BatchNorm2d")
        print(time.process_time() - start)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 5, "the README says less than 5 s"


def test_a_default_momentum_is_not_said_to_be_shared_with_the_other_direction():
    class Turned(BatchNorm):
        def _track(self, mean, var, m):
            self.momentum, kept = 1 - self.momentum, self.momentum
            super()._track(mean, var, m)
            self.momentum = kept

    sentence = conform(Turned)["default momentum"].sentence
    assert sentence.startswith("0.1 on the old value, as in no library")


def test_channels_last_is_seen_where_the_sizes_are_alike():
    class Guesses(torch.nn.BatchNorm2d):
        def forward(self, x):
            if x.shape[-1] != self.num_features:
                return super().forward(x)
            return super().forward(x.movedim(-1, 1)).movedim(1, -1)

    assert conform(Guesses)["output, 4-D"].verdict == "broken"


def test_a_row_that_is_not_there_gets_a_sentence():
    with pytest.raises(KeyError, match=r"no row 'nope'; its rows are output, 2-D"):
        conform(BatchNorm)["nope"]
