"""How fast is the course's code beside torch's, on one thread?

    python benchmarks/speed.py

Prints ratios of medians of interleaved rounds, ours / torch: below 1 ours is faster. Both sides
work in float32, compute the same gradients and update the same running statistics. "textbook" is
the two-pass form with the six staged gradients of the paper, as notebook 03 derives them.
"""

import itertools
import math

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


def textbook_step(x, dy, gamma, beta, running_mean, running_var, eps=1e-5, momentum=0.1):
    """Algorithm 1 in two passes, then the paper's six gradients, one after the other."""
    axes = (0, *range(2, x.ndim))
    m = x.size // x.shape[1]
    gamma, beta = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (gamma, beta))
    mean = x.mean(axis=axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    y = gamma * x_hat + beta
    running_mean += momentum * (mean.ravel() - running_mean)
    running_var += momentum * (var.ravel() * (m / (m - 1)) - running_var)

    dx_hat = dy * gamma
    dvar = (dx_hat * (x - mean) * -0.5 * (var + eps) ** -1.5).sum(axis=axes, keepdims=True)
    dmean = (-dx_hat / np.sqrt(var + eps)).sum(axis=axes, keepdims=True)
    dmean += dvar * (-2 * (x - mean)).mean(axis=axes, keepdims=True)
    dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (x - mean) / m + dmean / m
    return y, dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


def batchnorm_training(shape):
    x, dy, gamma, beta = draw(shape, shape, shape[1], shape[1])
    layer = BatchNorm(shape[1], dtype=np.float32)
    layer.weight[:], layer.bias[:] = gamma, beta
    tx, tgamma, tbeta = (torch.tensor(a, requires_grad=True) for a in (x, gamma, beta))
    tdy, tmean, tvar = torch.tensor(dy), torch.zeros(shape[1]), torch.ones(shape[1])
    running = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)

    def ours():
        layer.forward(x)
        layer.backward(dy)

    def torchs():
        y = torch.nn.functional.batch_norm(tx, tmean, tvar, tgamma, tbeta, training=True)
        torch.autograd.grad(y, (tx, tgamma, tbeta), tdy)

    return ours, torchs, lambda: textbook_step(x, dy, gamma, beta, *running)


def batchnorm_eval(shape):
    x, gamma, beta = draw(shape, shape[1], shape[1])
    layer = BatchNorm(shape[1], dtype=np.float32).eval()
    layer.weight[:], layer.bias[:] = gamma, beta
    tx, tgamma, tbeta = map(torch.tensor, (x, gamma, beta))
    tmean, tvar = torch.zeros(shape[1]), torch.ones(shape[1])

    def torchs():
        with torch.no_grad():
            torch.nn.functional.batch_norm(tx, tmean, tvar, tgamma, tbeta)

    return lambda: layer.forward(x), torchs


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

    return ours, torchs


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

    return ours, torchs


def geomean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def report(title, shapes, make):
    """One line a shape; returns the ratios ours / torch."""
    ratios, textbooks = [], []
    for shape in shapes:
        ours, torchs, *textbook = fair.interleaved(make(shape))
        ratios.append(ours / torchs)
        textbooks += [t / torchs for t in textbook]
        others = "".join(f"   textbook {t / torchs:5.2f}" for t in textbook)
        print(f"{title:18}{shape!s:18}{ratios[-1]:6.2f}{others}", flush=True)
    others = f"   textbook {geomean(textbooks):5.2f}" if textbooks else ""
    print(f"{title:18}{'geometric mean':18}{geomean(ratios):6.2f}{others}\n")


def main():
    torch.set_num_threads(1)
    print(f"ours / torch, float32\n{fair.machine()}\n")
    report("BN training", BATCHNORM, batchnorm_training)
    report("BN evaluation", BATCHNORM, batchnorm_eval)
    report("conv2d 3x3", CONV, conv2d)
    ours, torchs = fair.interleaved(training_step())
    print(f"{'training step':18}{'MLP, batch of 60':18}{ours / torchs:6.2f}")


if __name__ == "__main__":
    main()
