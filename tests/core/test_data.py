"""Digits, minibatches, covariate shifts and MNIST-format files."""

import gzip
import hashlib
import struct
import subprocess
import sys

import numpy as np
import pytest

from bnlab import data

SHIFTS = {
    "invert": data.invert,
    "brighter": lambda x: data.brightness(x, 0.4),
    "darker": lambda x: data.brightness(x, -0.4),
    "more contrast": lambda x: data.contrast(x, 0.8),
    "less contrast": lambda x: data.contrast(x, -0.6),
    "rotate": lambda x: data.rotate(x, 17.0),
    "rotate far": lambda x: data.rotate(x, -131.0),
}


def pixels(n=6, side=8, dtype=np.float64, seed=0):
    """Random pixels that reach 0 and 1 in their middle and in their corners."""
    x = np.random.default_rng(seed).random((n, side, side)).astype(dtype)
    x[0], x[1] = 1, 0
    return x.reshape(n, side * side)


# The digits


def test_digits_are_scikit_learns_own():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    with np.load(data.course_files() / "data" / "digits.npz") as ours:
        assert sorted(ours) == ["images", "labels"]
        assert (ours["images"].dtype, ours["labels"].dtype) == (np.uint8, np.uint8)
        np.testing.assert_array_equal(ours["images"], theirs.images)
        np.testing.assert_array_equal(ours["labels"], theirs.target)


def test_the_split_has_the_promised_sizes_and_types():
    digits = data.load_digits()
    for split, n in {"train": 1145, "val": 202, "test": 450}.items():
        x, y = getattr(digits, f"x_{split}"), getattr(digits, f"y_{split}")
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((n, 64), np.float64, (n,), np.int64)
        assert (x.min(), x.max()) == (0, 1)
        assert set(y) == set(range(10))


def test_every_image_is_in_exactly_one_part_and_keeps_its_label():
    digits = data.load_digits(seed=3)
    x = np.concatenate([digits.x_train, digits.x_val, digits.x_test])
    y = np.concatenate([digits.y_train, digits.y_val, digits.y_test])
    with np.load(data.course_files() / "data" / "digits.npz") as file:
        images, labels = file["images"].reshape(-1, 64), file["labels"]
    found = sorted((*row, label) for row, label in zip(x * 16, y, strict=True))
    assert found == sorted((*row, label) for row, label in zip(images, labels, strict=True))


def test_the_seed_decides_the_split():
    first, again, other = data.load_digits(1), data.load_digits(1), data.load_digits(2)
    np.testing.assert_array_equal(first.x_val, again.x_val)
    assert not np.array_equal(first.x_val, other.x_val)
    assert not np.array_equal(first.x_test, other.x_test)


def test_digits_come_in_the_dtype_asked_for():
    single = data.load_digits(dtype=np.float32)
    assert single.x_train.dtype == np.float32
    np.testing.assert_array_equal(single.x_train, data.load_digits().x_train)


def test_exactly_three_pixels_are_constant():
    digits = data.load_digits()
    x = np.concatenate([digits.x_train, digits.x_val, digits.x_test])
    assert np.flatnonzero(x.std(axis=0) == 0).tolist() == [0, 32, 39]


def test_images_are_the_rows_as_pictures():
    digits = data.load_digits()
    for split in ("train", "val", "test"):
        images = digits.images(split)
        assert images.shape[1:] == (1, 8, 8)
        np.testing.assert_array_equal(images.reshape(-1, 64), getattr(digits, f"x_{split}"))
    with pytest.raises(ValueError, match='needs "train", "val" or "test", got \'valid\''):
        digits.images("valid")


def test_a_loaded_part_may_be_changed_without_harm():
    data.load_digits().x_train[:] = -1
    assert data.load_digits().x_train.min() == 0


def test_a_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "course_files", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"digits\.npz, which is missing; install bnlab"):
        data.load_digits()


def test_a_changed_file_says_what_to_do(tmp_path, monkeypatch):
    content = bytearray((data.course_files() / "data" / "digits.npz").read_bytes())
    content[5000] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "digits.npz").write_bytes(content)
    monkeypatch.setattr(data, "course_files", lambda: tmp_path)
    with pytest.raises(
        ValueError, match=r"digits\.npz is not the file bnlab came with .* install bnlab"
    ):
        data.load_digits()


def test_the_readme_names_the_hash_of_the_file():
    folder = data.course_files() / "data"
    sha256 = hashlib.sha256((folder / "digits.npz").read_bytes()).hexdigest()
    assert sha256 == data.DIGITS_SHA256
    assert sha256 in (folder / "README.md").read_text(encoding="utf-8")


# Where the files are


def test_course_files_are_found_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data.course_files().is_absolute()
    assert len(data.load_digits().x_train) == 1145


def test_a_wheel_finds_its_course_inside_the_package(tmp_path, monkeypatch):
    package = tmp_path / "bnlab"
    package.mkdir()
    monkeypatch.setattr(data, "__file__", str(package / "data.py"))
    assert data.course_files() == tmp_path.resolve()
    (package / "_files").mkdir()
    assert data.course_files() == (package / "_files").resolve()


def test_data_loads_numpy_and_nothing_heavier():
    program = "import sys, bnlab.data; print({'torch', 'matplotlib', 'sklearn'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr


# Minibatches


def test_minibatches_show_each_example_at_most_once_with_its_label():
    x = np.arange(23.0)[:, None]
    batches = list(data.minibatches(x, 10 * x[:, 0], 5, np.random.default_rng(0)))
    assert [xb.shape for xb, _ in batches] == [(5, 1)] * 4
    assert all((10 * xb[:, 0] == yb).all() for xb, yb in batches)
    seen = np.concatenate([xb[:, 0] for xb, _ in batches])
    assert len(set(seen)) == 20
    assert not np.array_equal(seen, np.sort(seen))


def test_minibatches_use_every_example_when_the_size_divides():
    x = np.arange(12)
    batches = data.minibatches(x, x, 4, np.random.default_rng(0))
    assert sorted(np.concatenate([xb for xb, _ in batches])) == list(range(12))


def test_the_generator_decides_the_order_and_moves_on():
    x, rng = np.arange(40), np.random.default_rng(7)
    first, second = (np.stack([xb for xb, _ in data.minibatches(x, x, 8, rng)]) for _ in range(2))
    again = np.stack([xb for xb, _ in data.minibatches(x, x, 8, np.random.default_rng(7))])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_minibatches_are_copies():
    x = np.zeros(4)
    for xb, _ in data.minibatches(x, x, 2, np.random.default_rng(0)):
        xb += 1
    assert (x == 0).all()


@pytest.mark.parametrize("batch_size", [0, -1, 5])
def test_minibatches_refuse_a_size_that_fills_no_batch(batch_size):
    x = np.zeros(4)
    with pytest.raises(ValueError, match=f"batch_size from 1 to 4, got {batch_size}"):
        data.minibatches(x, x, batch_size, np.random.default_rng(0))


def test_minibatches_refuse_labels_of_another_length():
    with pytest.raises(ValueError, match=r"needs one label per example, got 4 .* 3"):
        data.minibatches(np.zeros(4), np.zeros(3), 2, np.random.default_rng(0))


# Selection on the input


def test_ink_is_the_sum_of_the_pixels_in_either_shape():
    x = pixels()
    expected = [sum(row) for row in x.tolist()]
    np.testing.assert_allclose(data.ink(x), expected, rtol=1e-12)
    np.testing.assert_allclose(data.ink(x.reshape(-1, 1, 8, 8)), expected, rtol=1e-12)


def test_the_lightest_are_lighter_and_the_heaviest_heavier_than_all_others():
    digits = data.load_digits()
    x, y = digits.x_train, digits.y_train
    (light, _), (heavy, _) = data.lightest_and_heaviest(x, y, fraction=0.3)
    n, total = round(0.3 * len(x)), np.sort(x.sum(axis=1))
    assert len(light) == len(heavy) == n
    np.testing.assert_allclose(np.sort(light.sum(axis=1)), total[:n])
    np.testing.assert_allclose(np.sort(heavy.sum(axis=1)), total[-n:])


def test_selection_keeps_each_label_and_the_order():
    x = np.random.default_rng(0).random((50, 64))
    y = np.arange(50)
    for part_x, part_y in data.lightest_and_heaviest(x, y, fraction=0.4):
        np.testing.assert_array_equal(part_x, x[part_y])
        assert (np.diff(part_y) > 0).all()


def test_selection_does_not_look_at_the_labels():
    digits = data.load_digits()
    x, y = digits.x_train, digits.y_train
    shuffled = np.random.default_rng(0).permutation(y)
    for labels in (shuffled, np.zeros(len(y)), np.full(len(y), np.nan)):
        for ours, theirs in zip(
            data.lightest_and_heaviest(x, y), data.lightest_and_heaviest(x, labels), strict=True
        ):
            np.testing.assert_array_equal(ours[0], theirs[0])


def test_halves_do_not_share_an_image():
    x, y = np.arange(7.0)[:, None], np.arange(7)  # round(3.5) is 4, and twice 4 is more than 7
    (_, light), (_, heavy) = data.lightest_and_heaviest(x, y, fraction=0.5)
    assert (light.tolist(), heavy.tolist()) == ([0, 1, 2], [4, 5, 6])


def test_selection_takes_pictures_too_and_returns_copies():
    x = pixels().reshape(-1, 1, 8, 8)
    before = x.copy()
    (light, _), (heavy, _) = data.lightest_and_heaviest(x, np.arange(6))
    assert light.shape[1:] == heavy.shape[1:] == (1, 8, 8)
    light += 1
    heavy += 1
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.51, 0.01, float("nan")])
def test_selection_refuses_an_impossible_fraction(fraction):
    with pytest.raises(
        ValueError, match=f"0 < fraction <= 0.5, .* got fraction={fraction} of 6 images"
    ):
        data.lightest_and_heaviest(pixels(), np.arange(6), fraction)


def test_selection_refuses_labels_of_another_length():
    with pytest.raises(ValueError, match="lightest_and_heaviest needs one label per example"):
        data.lightest_and_heaviest(pixels(), np.arange(5))


# Transformations that keep the label


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_shift_keeps_dtype_range_and_input(shift, dtype):
    x = pixels(dtype=dtype)
    before = x.copy()
    y = shift(x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert y.min() >= 0
    assert y.max() <= 1
    assert not np.shares_memory(x, y)
    assert not np.array_equal(x, y)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_a_shift_treats_rows_and_pictures_alike(shift):
    x = pixels()
    pictures = shift(x.reshape(-1, 1, 8, 8))
    assert pictures.shape == (6, 1, 8, 8)
    np.testing.assert_array_equal(pictures.reshape(-1, 64), shift(x))


@pytest.mark.parametrize("shift", [data.brightness, data.contrast, data.rotate])
def test_an_amount_of_zero_changes_nothing(shift):
    x = pixels()
    y = shift(x, 0)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("shift", [data.brightness, data.contrast, data.rotate])
def test_an_amount_may_be_a_float64_without_changing_the_dtype(shift):
    assert shift(pixels(dtype=np.float32), np.float64(0.5)).dtype == np.float32


def test_invert_twice_is_the_image():
    x = data.load_digits().x_test
    np.testing.assert_array_equal(data.invert(data.invert(x)), x)
    np.testing.assert_allclose(data.ink(data.invert(x)), 64 - data.ink(x), rtol=1e-12)


def test_brightness_and_contrast_by_hand():
    x = np.array([[0.0, 0.2, 0.5, 1.0]])
    np.testing.assert_allclose(data.brightness(x, 0.3), [[0, 0, 0.2, 0.7]])  # less ink
    np.testing.assert_allclose(data.brightness(x, -0.3), [[0.3, 0.5, 0.8, 1]])
    np.testing.assert_allclose(data.contrast(x, 0.5), [[0, 0.05, 0.5, 1]])
    np.testing.assert_allclose(data.contrast(x, -1), [[0.5, 0.5, 0.5, 0.5]])
    np.testing.assert_allclose(data.contrast(x, -2), data.invert(x))


@pytest.mark.parametrize("quarter", [-1, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("side", [7, 8])
def test_quarter_turns_are_rot90(quarter, side):
    x = pixels(side=side)
    expected = np.rot90(x.reshape(-1, side, side), quarter, axes=(1, 2))
    np.testing.assert_array_equal(data.rotate(x, 90 * quarter), expected.reshape(x.shape))


@pytest.mark.parametrize("degrees", [10.0, 45.0, -28.5, 200.0])
def test_rotation_is_torchs_bilinear_sampling(degrees):
    torch = pytest.importorskip("torch")
    x = pixels()
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero = torch.zeros_like(cos)
    theta = torch.stack([torch.stack([cos, -sin, zero]), torch.stack([sin, cos, zero])])
    grid = torch.nn.functional.affine_grid(theta.expand(6, 2, 3), (6, 1, 8, 8), align_corners=False)
    images = torch.from_numpy(x.reshape(6, 1, 8, 8))
    theirs = torch.nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    ours = data.rotate(x, degrees).reshape(6, 1, 8, 8)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


def test_a_small_rotation_moves_the_top_to_the_left():
    x = np.zeros((1, 1, 9, 9))
    x[0, 0, 1, 4] = 1  # a dot above the centre
    y = data.rotate(x, 20)[0, 0]
    row, column = np.unravel_index(y.argmax(), y.shape)
    assert (row, column) == (1, 3)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_shifts_refuse_what_is_not_pixels_from_0_to_1(shift):
    for wrong in (16 * pixels(), pixels() - 0.1, np.full((1, 64), np.nan)):
        with pytest.raises(ValueError, match=r"floating-point pixels in \[0, 1\], got float64"):
            shift(wrong)
    for largest in (1, 255):
        with pytest.raises(ValueError, match=f"got uint8 from 0 to {largest}; divide raw pixels"):
            shift(np.array([[0, 0, 0, largest]], dtype=np.uint8))


@pytest.mark.parametrize("shift", [data.brightness, data.contrast, data.rotate])
@pytest.mark.parametrize("amount", [float("inf"), -float("inf"), float("nan")])
def test_an_amount_that_is_not_finite_is_refused(shift, amount):
    with pytest.raises(ValueError, match=f"{shift.__name__} needs a finite amount, got {amount}"):
        shift(pixels(), amount)


@pytest.mark.parametrize("shape", [(5, 63), (5, 3, 8, 8), (5, 4, 8, 8), (5, 1, 4, 16), (64,)])
def test_images_that_are_not_square_are_refused(shape):
    with pytest.raises(ValueError, match="needs square images of one channel"):
        data.rotate(np.zeros(shape), 10)


@pytest.mark.parametrize("shape", [(5, 64), (5, 8, 8), (5, 1, 8, 8), (0, 64)])
def test_as_images_is_a_view(shape):
    x = np.zeros(shape)
    assert data.as_images(x).shape == (shape[0], 1, 8, 8)
    assert data.as_images(x).base is x


# MNIST-format files, written here by hand with struct

CODES = {"B": 0x08, "b": 0x09, "h": 0x0B, "i": 0x0C, "f": 0x0D, "d": 0x0E}


def idx_bytes(values, letter="B"):
    values = np.asarray(values)
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, CODES[letter], values.ndim, *values.shape)
    return header + struct.pack(f">{values.size}{letter}", *values.ravel().tolist())


def write_mnist(folder, train=5, test=3, suffix=""):
    """Write the four files and return what was written."""
    rng, written = np.random.default_rng(0), []
    pack = gzip.compress if suffix else bytes
    for part, n in (("train", train), ("t10k", test)):
        images, labels = rng.integers(0, 256, (n, 4, 6)), rng.integers(0, 10, n)
        images[0, 0, 0] = 255
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{name}-ubyte{suffix}").write_bytes(pack(idx_bytes(values)))
            written.append(values)
    return written


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("letter", "dtype"),
    [("B", "uint8"), ("b", "int8"), ("h", "int16"), ("i", "int32"), ("f", "float32"),
     ("d", "float64")],
)  # fmt: skip
def test_read_idx_reads_every_type(tmp_path, pack, letter, dtype):
    signed = letter != "B"
    values = np.array([[0, 1, 2], [-3 * signed, 100, 127]]).astype(dtype)
    if letter in "hi":
        values[0, 0] = 0x1234  # tells the byte orders apart
    path = tmp_path / "some-file"
    path.write_bytes(pack(idx_bytes(values, letter)))
    found = data.read_idx(path)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert found.flags.writeable
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (1, 2, 1, 3), (0, 28, 28)])
def test_read_idx_reads_every_shape_and_takes_a_string(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx_bytes(values)))
    np.testing.assert_array_equal(data.read_idx(str(path)), values)


GOOD = idx_bytes(np.arange(6).reshape(2, 3))
PACKED = gzip.compress(GOOD, mtime=0)  # the time would get into the names of the tests


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (GOOD[:3], "is not an IDX file"),
        (b"\x93NUMPY\x01\x00" + GOOD, "is not an IDX file: it must start with two zero bytes"),
        (b"\0\1" + GOOD[2:], "is not an IDX file"),
        (b"\0\0\x08\0\x05", "is not an IDX file"),
        (b"\0\0\x0a" + GOOD[3:], "unknown type code 0x0A, not 0x08, 0x09"),
        (GOOD[:9], "is cut off inside its header"),
        (GOOD[:-1], r"is cut off: shape \(2, 3\) of uint8 takes 18 bytes, got 17"),
        (GOOD + b"\0", "has trailing bytes: .* takes 18 bytes, got 19"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "is cut off"),
        (PACKED[:-9], "is a damaged gzip file"),
        (PACKED + b"more", "is a damaged gzip file"),
        (PACKED[:10] + b"\xff" * 30, "is a damaged gzip file .*invalid block type"),
        (gzip.compress(GOOD[:-1], mtime=0), "is cut off"),
    ],
)
def test_read_idx_names_the_file_and_the_fault(tmp_path, content, message):
    path = tmp_path / "images-idx2-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"images-idx2-ubyte.*{message}"):
        data.read_idx(path)


@pytest.mark.parametrize(("name", "pack"), [("plain.gz", bytes), ("packed", gzip.compress)])
def test_read_idx_goes_by_the_content_and_not_by_the_name(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(GOOD))
    np.testing.assert_array_equal(data.read_idx(path), [[0, 1, 2], [3, 4, 5]])


def test_read_idx_of_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        data.read_idx(tmp_path / "absent")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_load_idx_folder_gives_rows_in_0_to_1_and_labels(tmp_path, suffix):
    images, labels, test_images, test_labels = write_mnist(tmp_path, suffix=suffix)
    x_train, y_train, x_test, y_test = data.load_idx_folder(tmp_path)
    np.testing.assert_allclose(x_train, images.reshape(5, 24) / 255, rtol=1e-15)
    np.testing.assert_allclose(x_test, test_images.reshape(3, 24) / 255, rtol=1e-15)
    assert x_train.max() == 1
    assert y_train.dtype == y_test.dtype == np.int64
    assert (y_train.tolist(), y_test.tolist()) == (labels.tolist(), test_labels.tolist())
    assert data.load_idx_folder(str(tmp_path), dtype=np.float32)[0].dtype == np.float32


def test_load_idx_folder_takes_plain_and_compressed_files_together(tmp_path):
    write_mnist(tmp_path)
    plain = tmp_path / "t10k-images-idx3-ubyte"
    (tmp_path / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    expected = data.load_idx_folder(tmp_path)
    plain.unlink()
    for found, wanted in zip(data.load_idx_folder(tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "name",
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
     "t10k-labels-idx1-ubyte"],
)  # fmt: skip
def test_load_idx_folder_names_a_missing_or_broken_file(tmp_path, name):
    write_mnist(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{name} is cut off"):
        data.load_idx_folder(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"needs {name} or {name}\.gz in "):
        data.load_idx_folder(tmp_path)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_load_idx_folder_names_files_of_different_length(tmp_path, part):
    write_mnist(tmp_path)
    name = f"{part}-labels-idx1-ubyte"
    (tmp_path / name).write_bytes(idx_bytes(np.zeros(4, int)))
    with pytest.raises(ValueError, match=f"images in .*{part}-images.* and 4 labels in .*{name}"):
        data.load_idx_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-images-idx3-ubyte", idx_bytes(np.zeros(5, int))),
        ("train-labels-idx1-ubyte", idx_bytes(np.zeros((5, 4, 6), int))),
        ("t10k-images-idx3-ubyte", idx_bytes(np.zeros((3, 4, 6)), "f")),
        ("t10k-labels-idx1-ubyte", idx_bytes(np.zeros(3, int), "i")),
    ],
)
def test_load_idx_folder_refuses_swapped_files_and_other_types(tmp_path, name, content):
    write_mnist(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"needs unsigned bytes with [13] axes in .*{name}"):
        data.load_idx_folder(tmp_path)
