"""`my_batchnorm.py` grows by what passes, and nothing that somebody wrote there is lost."""

import builtins
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnlab.course import check
from bnlab.course.exercises import library
from bnlab.course.exercises.judging import judge
from bnlab.course.exercises.registry import find

ROOT = Path(__file__).resolve().parents[3]
MEANS = "def feature_means(x):\n    return x.mean(axis=0)\n"
SAME = "def feature_means(x):\n    return np.mean(x, axis=0)\n"
STANDARDIZE = "def standardize(x, eps):\n    return (x - mean(x)) / np.sqrt(x.var(axis=0) + eps)\n"
KEPT = "It is kept in my_batchnorm.py."
ALREADY = "It is in my_batchnorm.py already."
ABOVE = "It is in my_batchnorm.py already, above a later version; the last one counts."
NEWER = "It is kept in my_batchnorm.py, below your earlier version; the last one counts."
# Root may write everywhere, unless it gives that right away.
WEAK = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "my_batchnorm.py"


@pytest.fixture
def checked(cell, names):
    """What `check` says of a cell's function, beside that so many cases agree."""

    def run(source, name="feature_means"):
        cell(f"{source}\nreport = check({name!r}, {name})")
        assert names["report"].outcome == "correct", names["report"]
        return names["report"].message.partition(" agree. ")[2]

    return run


def stands(name="feature_means"):
    """Whether what the file defines is right."""
    return judge(find(name), library.functions().get(name)).outcome == "correct"


# Growing


def test_the_same_answer_is_written_once(checked, file):
    assert checked(MEANS) == KEPT
    text = file.read_text()
    assert {checked(MEANS) for _ in range(50)} == {ALREADY}
    assert {checked(f"# a comment\n{MEANS}".replace("(axis=0)", "( axis = 0 )"))} == {ALREADY}
    assert file.read_text() == text


def test_a_newer_version_is_written_below_and_the_last_one_counts(checked, file):
    checked(MEANS)
    before = file.read_text()
    assert checked(SAME) == NEWER
    assert file.read_text() == f"{before}\n\n{SAME}"


def test_two_versions_in_turn_do_not_make_the_file_grow(checked, file):
    for source in (MEANS, SAME):
        checked(source)
    text = file.read_text()
    assert [checked(source) for source in (MEANS, SAME) * 5] == [ABOVE, ALREADY] * 5
    assert file.read_text() == text


def test_a_version_that_fails_is_not_written(checked, cell, file):
    checked(MEANS)
    text = file.read_text()
    cell("check('feature_means', lambda x: x.mean(axis=1))")
    assert file.read_text() == text


def test_two_functions_of_a_cell_share_their_helper(checked, file):
    both = "import math\ndef mean(x):\n    return x.mean(axis=math.trunc(0))\n" + STANDARDIZE
    both += "def feature_means(x):\n    return mean(x)\n"
    checked(both)
    assert checked(both, "standardize") == KEPT
    text = file.read_text()
    assert text.count("def mean(x)") == text.count("import math") == 1
    assert {checked(both), checked(both, "standardize")} == {ALREADY}
    assert file.read_text() == text


def test_what_follows_a_changed_constant_is_written_again(checked, file):
    source = "k = {}\nm = 4 - k\ndef feature_means(x):\n    return m * x.mean(axis=0) / (4 - {})\n"
    checked(source.format(2, 2))
    assert checked(source.format(3, 3)) == NEWER
    assert stands()
    assert file.read_text().count("m = 4 - k") == 2


# Helpers of the same name


def test_a_helper_that_would_spoil_another_function_is_refused(checked, file):
    checked("def mean(x):\n    return x.mean(axis=0)\ndef feature_means(x):\n    return mean(x)\n")
    text = file.read_text()
    said = checked(
        "def mean(x):\n    return x.mean(axis=0, keepdims=True)\n" + STANDARDIZE, "standardize"
    )
    assert said.endswith(
        ": with this mean, feature_means in that file would no longer pass; rename yours."
    )
    assert file.read_text() == text


def test_a_helper_that_another_function_needs_at_second_hand_is_refused(checked):
    checked("def a(x):\n    return x.mean(0)\nb = a\ndef feature_means(x):\n    return c(x)\n"
            "def c(x):\n    return a(x)\n")  # fmt: skip
    said = checked(f"def a(x):\n    return 0\nmean = lambda x: x.mean(0) + a(x)\n{STANDARDIZE}",
                   "standardize")  # fmt: skip
    assert "with this a, feature_means in that file would no longer pass;" in said
    assert stands()


def test_a_helper_with_the_name_of_a_builtin_is_refused_where_that_is_needed(checked):
    checked("def feature_means(x):\n    return sum(x) / len(x)\n")
    said = checked("def sum(x):\n    return np.sum(x)\ndef mean(x):\n    sum(x)\n"
                   f"    return x.mean(axis=0)\n{STANDARDIZE}", "standardize")  # fmt: skip
    assert "with this sum, feature_means in that file would no longer pass;" in said


def test_an_answer_to_another_exercise_is_not_replaced_by_a_helper(checked):
    checked(MEANS)
    said = checked("def feature_means(x):\n    return 0\ndef mean(x):\n    feature_means(x)\n"
                   f"    return x.mean(axis=0)\n{STANDARDIZE}", "standardize")  # fmt: skip
    assert "with this feature_means, feature_means in that file would no longer pass;" in said
    assert stands()


def test_two_right_helpers_of_the_same_name_are_kept_once_each(checked, file):
    cells = [
        ("def mean(x):\n    return x.mean(0)\ndef feature_means(x):\n    return mean(x)\n",),
        ("def mean(x):\n    return np.mean(x, axis=0)\n" + STANDARDIZE, "standardize"),
    ]
    assert [checked(*c) for c in cells] == [KEPT, KEPT]
    text = file.read_text()
    assert {checked(*c) for c in cells * 5} == {ALREADY}
    assert file.read_text() == text


def test_a_function_that_was_wrong_before_is_no_reason_to_refuse(checked, file):
    file.write_text("def feature_means(x):\n    return mean(x) + 1\n")
    assert checked("def mean(x):\n    return x.mean(0)\n" + STANDARDIZE, "standardize") == KEPT


def test_the_text_of_another_name_counts_as_a_whole(checked, file):
    """The alias below a changed function is written again, or it would mean the old one."""
    other = "bn = lambda x: {}\nfeature_means = bn\n"
    checked(other.format("x.mean(0)"))
    assert checked(other.format("x.mean(axis=0)")) == NEWER
    assert file.read_text().count("feature_means = bn") == 2


# A file that was changed by hand


HEAD = "import numpy as np\n"
BY_HAND = {
    "comments": (HEAD + MEANS.replace("\n", "  # mine\n"), ALREADY),
    "others added": (HEAD + MEANS + "\ndef mine(x):\n    return 3\n", ALREADY),
    "made wrong": (HEAD + MEANS.replace("0", "1"), NEWER),
    "made wrong below": (HEAD + MEANS + MEANS.replace("0", "1"), NEWER),
    "another right": (HEAD + SAME, NEWER),
    "another right below": (HEAD + MEANS + SAME, ABOVE),
    "renamed": (HEAD + MEANS.replace("feature", "my"), KEPT),
    "deleted": (HEAD + MEANS + "del feature_means\n", NEWER),
    "no NumPy": ("print('x')\nx = 3", KEPT),
    "empty": ("", KEPT),
    "spaces": ("\n \n", KEPT),
    "no last line end": (HEAD + "x = 3", KEPT),
    "ends in a comment": (HEAD + "# mine", KEPT),
    "ends in a block": (HEAD + "if True:\n    x = 3", KEPT),
    "CRLF": ((HEAD + MEANS).replace("\n", "\r\n"), ALREADY),
    "mark of Windows": ("\ufeff" + HEAD + MEANS, ALREADY),
    "prints": ("print('hello')\nimport sys\nprint('oops', file=sys.stderr)\n", KEPT),
    "warns": ("import warnings\nwarnings.warn('oops')\nx = '\\d'\n", KEPT),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_what_somebody_wrote_stays_and_counts(case, checked, file, capfd):
    text, said = BY_HAND[case]
    file.write_bytes(text.encode())
    assert checked(MEANS) == said
    assert file.read_bytes().startswith(text.encode())
    assert (file.read_bytes() == text.encode()) == (said in (ALREADY, ABOVE))
    assert stands()
    assert capfd.readouterr() == ("", "")


def test_the_file_begins_with_its_name_and_numpy(checked, file):
    checked(SAME)
    assert file.read_text() == f"{library.HEAD}\n\n{SAME}"


def test_an_import_that_is_there_is_not_repeated(checked, cell, file):
    checked(SAME)
    cell("import math")
    checked(SAME.replace("0", "math.trunc(0)"))
    assert file.read_text().count("import numpy as np") == 1
    assert file.read_text().count("import math") == 1


def test_a_statement_of_two_names_counts_only_if_it_does_for_both(checked, file):
    file.write_text("a, b = 0, 1\nb = 2\n")
    assert checked("a, b = 0, 1\ndef feature_means(x):\n    return b * x.mean(axis=a)\n") == KEPT


@pytest.mark.parametrize("text", ["", "x = 3\n", HEAD + "np = None\n", "import math as np\n"])
def test_a_function_finds_numpy_whatever_the_file_held(text, checked, file):
    file.write_text(text)
    assert checked(SAME) == KEPT
    assert file.read_text().startswith(text or '"""My batch norm')
    assert checked(SAME) == ALREADY


BROKEN = {
    "syntax": (
        b"x = 1\nx = (\n",
        "line 2 of the file has a syntax error ('(' was never closed); correct it.",
    ),
    "return": (b"return 3\n", "line 1 of the file has a syntax error ('return' outside function"),
    "raises": (
        b"\nx = y\n",
        "line 2 of the file raises NameError: name 'y' is not defined; correct it.",
    ),
    "exits": (b"import sys; sys.exit(1)\n", "line 1 of the file raises SystemExit: 1; correct it."),
    "interrupted": (
        b"raise KeyboardInterrupt\n",
        "line 1 of the file raises KeyboardInterrupt; correct it.",
    ),
    "hostile": (
        b"class E(Exception):\n    def __str__(self):\n        1 / 0\nraise E\n",
        "line 4 of the file raises my_batchnorm.E: <exception str() failed>; ",
    ),
    "not UTF-8": ("μ = 1\n".encode("latin-1", "replace") + b"\xff", "the file is not UTF-8 text; "),
    "null": (b"x = '\x00'\n", "the file has a syntax error ("),
    "brackets": (b"[" * 5000, "line 1 of the file has a syntax error (too many nested"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_used_stays_as_it_is_and_says_why(case, checked, cell, file, capsys):
    content, reason = BROKEN[case]
    file.write_bytes(content)
    assert checked(MEANS).startswith(f"It is not kept in {file}: {reason}")
    assert file.read_bytes() == content
    cell("_ = mine('feature_means')")
    assert capsys.readouterr().out.startswith("feature_means: yours, the version that passed its ")


def test_a_folder_in_its_place(checked, file):
    file.mkdir()
    assert (
        ": the file cannot be read (Is a directory); the environment variable BNLAB_LIBRARY can"
        in checked(MEANS)
    )
    with pytest.raises(library.LibraryProblem, match="cannot be read"):
        library.names()


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link(checked, file, tmp_path, exists):
    target = tmp_path / "elsewhere.py"
    if exists:
        target.write_text("x = 3\n")
    file.symlink_to(target)
    assert checked(MEANS) == KEPT
    assert file.is_symlink()
    assert "def feature_means" in target.read_text()


def test_a_folder_with_spaces_and_letters_of_all_kinds(checked, tmp_path, monkeypatch):
    place = tmp_path / "Größe und Maß" / "моя.py"
    place.parent.mkdir()
    monkeypatch.setenv("BNLAB_LIBRARY", str(place))
    assert checked(MEANS) == "It is kept in моя.py."
    assert stands()


def test_a_folder_that_is_not_there(checked, tmp_path, monkeypatch):
    monkeypatch.setenv("BNLAB_LIBRARY", str(tmp_path / "no" / "my.py"))
    assert checked(MEANS).endswith(
        "the file cannot be written (No such file or directory); the environment variable "
        "BNLAB_LIBRARY can name another place."
    )


def test_a_working_folder_that_is_gone(checked, tmp_path, monkeypatch):
    monkeypatch.delenv("BNLAB_LIBRARY")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    said = "It is not kept in my_batchnorm.py: the file cannot be written (No such file"
    assert checked(MEANS).startswith(said)


# Other processes, rights and the disk


CHECK_IN = """
import os
from bnlab.course import check
from bnlab.course.exercises.registry import find
for place in {}:
    os.environ["BNLAB_LIBRARY"] = place
    print(check("feature_means", find("feature_means").reference))
"""


def test_without_the_right_to_write_nothing_is_lost(tmp_path, file):
    if WEAK and not shutil.which("setpriv"):
        pytest.skip("setpriv is needed to take root's rights away")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    file.write_text("x = 3\n")
    file.chmod(0o400)
    code = CHECK_IN.format([str(file), str(closed / "my.py")])
    done = _python(code, *WEAK)
    assert [line.partition(".py: ")[2][:49] for line in done.splitlines()] == [
        "the file cannot be written (Permission denied); t"
    ] * 2
    assert file.read_text() == "x = 3\n"


def test_a_full_disk_leaves_the_file_as_it_was(checked, file):
    resource = pytest.importorskip("resource")
    checked(MEANS)
    text = file.read_text()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(text) + 20, limits[1]))
    try:
        report = check("feature_means", find("feature_means").reference)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the file cannot be written (No space left on device);" in report.message
    assert file.read_text() == text


TWO_KERNELS = """
import linecache, sys, time
from bnlab.course import check
me, go = sys.argv[1:]
while time.time() < float(go):
    pass
for i in range(20):
    source = f"def feature_means(x):\\n    return x.mean(axis=0) + 0 * {me}{i:02d}\\n"
    linecache.cache[source] = len(source), None, source.splitlines(True), source
    made = {}
    exec(compile(source, source, "exec"), made)
    print(check("feature_means", made["feature_means"]))
"""


def test_two_kernels_that_add_at_once_lose_nothing(file):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", TWO_KERNELS]
    go = str(time.time() + 2)
    runs = [
        subprocess.Popen([*command, me, go], env=env, stdout=subprocess.PIPE, text=True)
        for me in "12"
    ]
    said = "".join(run.communicate()[0] for run in runs)
    assert said.count("It is kept in my_batchnorm.py") == 40
    text = file.read_text()
    assert all(f"0 * {me}{i:02d}\n" in text for me in "12" for i in range(20))
    assert stands()


def _python(code, *before):
    command = [*before, sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


# Where it is, what is in it, and what that costs


def test_a_grader_keeps_nothing(checked, file, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert checked(MEANS) == ""
    assert not file.exists()


@pytest.mark.parametrize(
    ("files", "expected"),
    [  # a name that ends in @ is a link to nothing
        (["my_batchnorm.py@", "bnlab-course/my_batchnorm.py"], "my_batchnorm.py"),
        ([], "my_batchnorm.py"),
        (["my_batchnorm.py"], "my_batchnorm.py"),
        (["bnlab-course/my_batchnorm.py"], "bnlab-course/my_batchnorm.py"),
        (["my_batchnorm.py", "bnlab-course/my_batchnorm.py"], "my_batchnorm.py"),
    ],
)
def test_it_is_here_or_in_the_folder_of_the_course(tmp_path, monkeypatch, files, expected):
    monkeypatch.delenv("BNLAB_LIBRARY")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bnlab-course").mkdir()
    for name in files:
        if name.endswith("@"):
            (tmp_path / name[:-1]).symlink_to(tmp_path / "nothing")
        else:
            (tmp_path / name).write_text("")
    assert library.path() == Path(expected)


def test_a_kernel_and_the_command_agree(checked, tmp_path, monkeypatch):
    monkeypatch.delenv("BNLAB_LIBRARY")
    (tmp_path / "bnlab-course").mkdir()
    monkeypatch.chdir(tmp_path / "bnlab-course")
    assert checked(MEANS) == KEPT
    monkeypatch.chdir(tmp_path)
    assert library.names() == ["feature_means"]
    assert (tmp_path / "bnlab-course" / "my_batchnorm.py").exists()


def test_another_place_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLAB_LIBRARY", str(tmp_path / "other.py"))
    assert library.path() == tmp_path / "other.py"
    monkeypatch.setenv("BNLAB_LIBRARY", "")
    assert library.path().name == "my_batchnorm.py"


def test_names_are_those_of_exercises_that_ask_for_functions(file):
    file.write_text("def standardize(): ...\nx = how_many_means = 3\ndef feature_means(): ...\n"
                    "def standardize(): ...\nraise ValueError\n")  # fmt: skip
    assert library.names() == ["standardize", "feature_means"]


def test_slow_functions_are_called_no_more_than_it_takes(checked, cell, restart, monkeypatch):
    calls = []
    monkeypatch.setattr(builtins, "called", calls.append, raising=False)
    source = "def feature_means(x):\n    called(1)\n    return x.mean(axis=0)\n"

    def count(work, *args):
        calls.clear()
        work(*args)
        return len(calls) / len(find("feature_means").cases)

    assert count(checked, source) == 4  # each case twice, by the cell's function and by the file's
    assert count(cell, "_ = mine('feature_means')") == 0
    assert count(checked, "mean = lambda x: x.mean(0)\n" + STANDARDIZE, "standardize") == 0
    assert count(cell, "_ = str(progress())") == 0
    restart()
    assert count(cell, "_ = mine('feature_means')") == 2


def test_a_file_that_takes_its_time_is_run_once(checked, cell, file, restart, monkeypatch):
    runs = []
    monkeypatch.setattr(builtins, "ran", runs.append, raising=False)
    file.write_text("ran(1)\n")
    checked(MEANS)
    assert len(runs) == 1
    restart()
    cell("_ = mine('feature_means')")
    assert len(runs) == 2
    cell("_ = str(progress())")
    assert len(runs) == 2


def test_what_a_library_was_made_of_is_shown_in_an_error(checked, cell, file, restart):
    checked(MEANS + "# the end")
    restart()
    with pytest.raises(AttributeError) as caught:
        cell("mine('feature_means')(3)")
    assert caught.traceback[-1].path == file
    assert check("feature_means", library.functions()["feature_means"]).message.endswith(ALREADY)
