"""CIFAR-10's binary format: what is read, and what is refused with a sentence."""

import hashlib
import re

import numpy as np
import pytest
from small_cifar import RECORDS, write_small

from bnlab.course.experiments.scale import cifar


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Six files of the published size: black images, 1,000 a class in the test file."""
    folder = tmp_path_factory.mktemp("published")
    with (folder / cifar.TRAIN[0]).open("wb") as file:
        file.truncate(cifar.BYTES)  # takes no room on the disk
    for name in cifar.TRAIN[1:]:
        (folder / name).hardlink_to(folder / cifar.TRAIN[0])
    save(folder / cifar.TEST[0], np.arange(10_000) % 10)
    return folder


def save(path, labels):
    """Black images with these labels."""
    path.unlink(missing_ok=True)  # it may be another name of a file that stays
    records = np.zeros((len(labels), cifar.RECORD), np.uint8)
    records[:, 0] = labels
    records.tofile(path)


@pytest.fixture
def copy(published, tmp_path):
    """The same six files, each of which may be replaced."""
    for path in published.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    return tmp_path


def test_a_record_is_a_label_and_three_planes_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "BYTES", 2 * cifar.RECORD)
    for k, name in enumerate(cifar.TRAIN + cifar.TEST):
        planes = np.arange(3 * 32 * 32) % 251
        records = [[k, *planes], [9, *(planes + k) % 251]]
        np.array(records, np.uint8).tofile(tmp_path / name)
    x, y, x_test, y_test = cifar.load(tmp_path)
    assert (x.shape, x_test.shape, x.dtype) == ((10, 3, 32, 32), (2, 3, 32, 32), np.uint8)
    assert y.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert y_test.tolist() == [5, 9]
    assert x[0, 2, 5, 7] == (2 * 1024 + 5 * 32 + 7) % 251
    assert x_test[1, 0, 1, 0] == 32 + 5


def test_the_published_files_are_accepted(published):
    cifar.check(published)
    assert [len(part) for part in cifar.load(published)] == [50_000, 50_000, 10_000, 10_000]


@pytest.mark.parametrize("name", [*cifar.TRAIN, *cifar.TEST])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(cifar.DataError, match=rf"{name} is not in .*stand there once cifar-10-bin"):
        cifar.check(copy)


def test_a_folder_that_is_not_there_gets_the_same_sentence(tmp_path):
    with pytest.raises(cifar.DataError, match=r"data_batch_1.bin is not in .*nowhere"):
        cifar.check(tmp_path / "nowhere")


@pytest.mark.parametrize("images", [9_999, 10_001])
def test_a_truncated_or_longer_file_is_refused(copy, images):
    save(copy / cifar.TRAIN[3], np.zeros(images))
    sentence = rf"data_batch_4.bin needs 30,730,000 bytes, got {images * cifar.RECORD:,}; unpack"
    with pytest.raises(cifar.DataError, match=sentence):
        cifar.check(copy)


@pytest.mark.parametrize("name", [cifar.TRAIN[4], *cifar.TEST])
def test_other_files_of_that_size_are_found_by_their_labels(copy, name):
    labels = np.arange(10_000) % 10
    labels[-1] = 10
    save(copy / name, labels)
    with pytest.raises(cifar.DataError, match="has labels above 9: CIFAR-10 has ten classes"):
        cifar.check(copy)


def test_the_test_images_are_a_thousand_a_class(copy):
    labels = np.arange(10_000) % 10
    labels[0] = 1
    save(copy / cifar.TEST[0], labels)
    counts = re.escape("[999, 1001, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000]")
    with pytest.raises(cifar.DataError, match=f"needs 1,000 images a class, got {counts}"):
        cifar.check(copy)


def test_a_data_error_is_a_value_error():
    assert issubclass(cifar.DataError, ValueError)  # which the command turns into a sentence


# Which copy


def test_a_copy_is_known_by_what_it_holds(tmp_path, monkeypatch):
    one, two = (write_small(tmp_path / name, monkeypatch) for name in ("one", "two"))
    digest = hashlib.sha256(b"".join((one / n).read_bytes() for n in cifar.TRAIN + cifar.TEST))
    assert cifar.which_copy(one) == f"six files, sha256 {digest.hexdigest()[:12]}"
    assert cifar.which_copy(two) == cifar.which_copy(one)
    content = bytearray((two / cifar.TRAIN[2]).read_bytes())
    content[-1] ^= 1
    (two / cifar.TRAIN[2]).write_bytes(content)
    assert cifar.which_copy(two) != cifar.which_copy(one)


def test_shuffled_files_are_another_copy(tmp_path, monkeypatch):
    folder = write_small(tmp_path / "data", monkeypatch)
    before = cifar.which_copy(folder)
    first, second = (folder / name for name in cifar.TRAIN[:2])
    first_content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_content)
    assert first.stat().st_size == RECORDS * cifar.RECORD
    assert cifar.which_copy(folder) != before


def test_beside_the_archive_it_is_the_published_one(tmp_path, monkeypatch):
    folder = write_small(tmp_path / "data", monkeypatch)
    (folder / cifar.ARCHIVE).write_bytes(b"as published")
    assert cifar.which_copy(folder).startswith("six files")  # not the archive that was published
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", hashlib.md5(b"as published").hexdigest())
    assert cifar.which_copy(folder) == "the published archive"
