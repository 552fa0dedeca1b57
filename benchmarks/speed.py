"""How fast is the course's code beside torch's, on one thread?

    python benchmarks/speed.py

Prints ratios of medians of interleaved rounds to torch with autograd: below 1 a side is faster. All
work in float32, compute the same gradients and update the same running statistics.

- NumPy: the lines of notebook 10, as they are written in a paper.
- bnlab: the layer of this course.
- numba: plain loops, see `loops.py`; only where numba is installed.
- kernels: those of torch, called without autograd. Whoever compares with autograd on small batches
  compares with its bookkeeping.
- compiled: NumPy's lines in torch, through `torch.compile`, with autograd; only where there is a
  C++ compiler. The first call of a shape, some seconds, is not counted.
"""

import importlib.util
import itertools
import math
import shutil

import fair

fair.pin()

import numpy as np  # noqa: E402  (threads and allocator must be pinned before)
import torch  # noqa: E402

from bnlab import functional as F  # noqa: E402
from bnlab.layers import BatchNorm, mlp  # noqa: E402
from bnlab.optim import SGD  # noqa: E402

BATCHNORM = [(64, 100), (256, 512), (4096, 1024), (64, 64, 28, 28), (32, 16, 8, 8)]
CONV = [(64, 1, 8, 8), (64, 16, 8, 8), (64, 16, 28, 28)]
OUT_CHANNELS = 16
SIZES, BATCH = [64, 100, 100, 100, 10], 60


def draw(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def numpy_step(x, dy, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
    """Algorithm 1 and the closed form of its gradients, a NumPy call for each sign."""
    axes, m = (0, *range(2, x.ndim)), x.size // x.shape[1]
    gamma, beta = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (gamma, beta))
    mean = x.mean(axis=axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    y = gamma * x_hat + beta
    running_mean += momentum * (mean.ravel() - running_mean)
    running_var += momentum * (var.ravel() * (m / (m - 1)) - running_var)

    dbeta, dgamma = (a.sum(axis=axes, keepdims=True) for a in (dy, dy * x_hat))
    bent = dy - dbeta / m - x_hat * (dgamma / m)
    return y, gamma / np.sqrt(var + eps) * bent, dgamma, dbeta


def batchnorm_training(shape):
    """The sides of a training step, the last of them torch with autograd."""
    x, dy, gamma, beta = draw(shape, shape, shape[1], shape[1])
    running = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
    arrays = x, dy, gamma, beta, *running
    sides = {"NumPy": lambda: numpy_step(*arrays), "bnlab": bnlab_step(x, dy, gamma, beta)}
    if importlib.util.find_spec("numba"):
        import loops

        sides["numba"] = lambda: loops.training_step(*arrays)
    return sides | torch_steps(*arrays)


def bnlab_step(x, dy, gamma, beta):
    layer = BatchNorm(len(gamma), dtype=np.float32)
    layer.weight[:], layer.bias[:] = gamma, beta

    def step():
        layer.forward(x)
        layer.backward(dy)

    return step


def torch_steps(*arrays):
    x, dy, gamma, beta, *running = (torch.tensor(array) for array in arrays)
    leaves = [t.clone().requires_grad_() for t in (x, gamma, beta)]

    def kernels():
        _, *saved = torch.native_batch_norm(x, gamma, beta, *running, True, 0.1, 1e-5)
        backward = torch.ops.aten.native_batch_norm_backward
        backward(dy, x, gamma, *running, *saved, True, 1e-5, [True] * 3)

    def autograd():
        x, *parameters = leaves
        y = torch.nn.functional.batch_norm(x, *running, *parameters, training=True)
        torch.autograd.grad(y, leaves, dy)

    sides = {"kernels": kernels, "torch": autograd}
    if shutil.which("g++"):

        def compiled():
            x, *parameters = leaves
            torch.autograd.grad(compiled_forward(x, *parameters, *running), leaves, dy)

        sides = {"compiled": compiled} | sides
    return sides


@torch.compile(dynamic=False)
def compiled_forward(x, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
    """The forward lines of `numpy_step`; the compiler derives the backward ones."""
    axes, m = (0, *range(2, x.ndim)), x.numel() // x.shape[1]
    gamma, beta = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (gamma, beta))
    mean = x.mean(axes, keepdim=True)
    var = ((x - mean) ** 2).mean(axes, keepdim=True)
    with torch.no_grad():
        running_mean += momentum * (mean.ravel() - running_mean)
        running_var += momentum * (var.ravel() * (m / (m - 1)) - running_var)
    return gamma * ((x - mean) / torch.sqrt(var + eps)) + beta


def batchnorm_eval(shape):
    x, gamma, beta = draw(shape, shape[1], shape[1])
    layer = BatchNorm(shape[1], dtype=np.float32).eval()
    layer.weight[:], layer.bias[:] = gamma, beta
    tx, tgamma, tbeta = map(torch.tensor, (x, gamma, beta))
    tmean, tvar = torch.zeros(shape[1]), torch.ones(shape[1])

    def torchs():
        with torch.no_grad():
            torch.nn.functional.batch_norm(tx, tmean, tvar, tgamma, tbeta)

    return {"bnlab": lambda: layer.forward(x), "torch": torchs}


def conv2d(shape):
    n, c, h, w = shape
    x, dy, weight, bias = draw(shape, (n, OUT_CHANNELS, h, w), (OUT_CHANNELS, c, 3, 3),
                               OUT_CHANNELS)  # fmt: skip
    tx, tweight, tbias = (torch.tensor(a, requires_grad=True) for a in (x, weight, bias))
    tdy = torch.tensor(dy)

    def ours():
        _, cache = F.conv2d_forward(x, weight, bias, padding=1)
        F.conv2d_backward(dy, cache)

    def torchs():
        y = torch.nn.functional.conv2d(tx, tweight, tbias, padding=1)
        torch.autograd.grad(y, (tx, tweight, tbias), tdy)

    return {"bnlab": ours, "torch": torchs}


def torch_mlp(model):
    """The same network in torch, with the same weights."""
    layers = []
    for fan_in, fan_out in itertools.pairwise(SIZES[:-1]):
        layers += [torch.nn.Linear(fan_in, fan_out, bias=False), torch.nn.BatchNorm1d(fan_out),
                   torch.nn.ReLU()]  # fmt: skip
    net = torch.nn.Sequential(*layers, torch.nn.Linear(*SIZES[-2:]))
    net.load_state_dict({k: torch.tensor(v) for k, v in model.state_dict().items()})
    return net


def training_step():
    model = mlp(SIZES, rng=np.random.default_rng(0), dtype=np.float32)
    net = torch_mlp(model)
    optimizer, torch_optimizer = SGD(model, lr=0.1), torch.optim.SGD(net.parameters(), lr=0.1)
    (x,) = draw((BATCH, SIZES[0]))
    labels = np.random.default_rng(1).integers(0, SIZES[-1], BATCH)
    tx, tlabels = torch.tensor(x), torch.tensor(labels)

    def ours():
        _, cache = F.cross_entropy_forward(model(x), labels)
        model.backward(F.cross_entropy_backward(cache))
        optimizer.step()

    def torchs():
        torch_optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(tx), tlabels).backward()
        torch_optimizer.step()

    return {"bnlab": ours, "torch": torchs}


def geomean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def report(title, shapes, make):
    """A line a shape, a column for each side but torch: its time / that of torch."""
    table = {str(shape): ratios(make(shape)) for shape in shapes}
    names = next(iter(table.values()))
    if len(table) > 1:
        lines = table.values()
        table = table | {"geometric mean": {n: geomean([line[n] for line in lines]) for n in names}}
    print(f"{title:30}" + "".join(f"{name:>9}" for name in names))
    for shape, line in table.items():
        print(f"  {shape:28}" + "".join(f"{ratio:9.2f}" for ratio in line.values()), flush=True)


def ratios(sides):
    times = dict(zip(sides, fair.interleaved(sides.values()), strict=True))
    torchs = times.pop("torch")
    return {name: seconds / torchs for name, seconds in times.items()}


def main():
    torch.set_num_threads(1)
    print(f"time / that of torch, in training with autograd; float32\n{fair.machine()}\n")
    report("BN training", BATCHNORM, batchnorm_training)
    report("BN evaluation, no autograd", BATCHNORM, batchnorm_eval)
    report("conv2d 3x3", CONV, conv2d)
    report("training step of an MLP", [(BATCH, SIZES[0])], lambda _: training_step())


if __name__ == "__main__":
    main()
