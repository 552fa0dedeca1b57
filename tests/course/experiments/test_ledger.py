"""The ledger: every claim of the course has its row, and the rows keep their promises."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bnlab.course.experiments import ledger as ledger_module
from bnlab.course.experiments.evidence import VERDICTS, Claim, Definition, Experiment
from bnlab.course.experiments.ledger import ids, ledger, place
from bnlab.course.experiments.results import stored_evidence
from bnlab.data import course_files

# Letter of an id -> how many claims of the course carry it. 104 in all.
COUNTS = {"S": 10, "A": 18, "D": 7, "B": 5, "T": 6, "C": 6, "R": 6, "W": 14, "P": 28, "N": 4}
COURSE = [f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)]

DEFINITIONS = {"S1", "S5", "A5", "A6", "A13", "A14", "C1", "R4", "R6", "W12", "W13"}
# Each with the verdict on what is said; where people say two things, one verdict of each.
IDENTITIES = {
    "S7": "WRONG", "S9": "WRONG", "S10": "WRONG IMPRECISE",
    "A1": "RIGHT", "A3": "IMPRECISE", "A4": "WRONG", "A7": "IMPRECISE", "A8": "WRONG RIGHT",
    "A9": "RIGHT", "A10": "WRONG", "A11": "IMPRECISE", "A15": "IMPRECISE", "A18": "IMPRECISE",
    "D1": "RIGHT", "D2": "RIGHT", "D3": "RIGHT", "D4": "RIGHT", "D5": "RIGHT", "D6": "RIGHT",
    "D7": "WRONG RIGHT",
    "B1": "RIGHT IMPRECISE", "B2": "IMPRECISE", "B3": "RIGHT", "B4": "RIGHT", "B5": "RIGHT",
    "T1": "RIGHT", "T3": "IMPRECISE", "T4": "WRONG IMPRECISE", "T6": "RIGHT",
    "C2": "RIGHT", "C3": "WRONG RIGHT", "C4": "RIGHT", "C5": "RIGHT", "N2": "RIGHT", "N3": "RIGHT",
}  # fmt: skip
# Letter of an id -> where it is taught, but for the claims of HOMES.
NOTEBOOKS = dict(zip(COUNTS, ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10"),
                     strict=True))  # fmt: skip
HOMES = {"S3": "05", "S10": "04", "A2": "05", "A12": "08", "A16": "08"}
# Identities that train a small network or import torch, seconds and not milliseconds.
SLOW = {"A1", "B5", "T6"}

every_entry = pytest.mark.parametrize("claim_id", ids())


def fast(claim_id):
    return claim_id not in SLOW


def identities():
    found = [claim_id for claim_id, entry in ledger().items() if entry.claim.kind == "identity"]
    return [i if fast(i) else pytest.param(i, marks=pytest.mark.slow) for i in found]


def test_the_course_makes_104_claims():
    assert len(COURSE) == 104
    assert set(COURSE) >= DEFINITIONS | set(IDENTITIES) | set(HOMES)


def test_every_claim_of_the_course_has_its_row():
    assert ids() == COURSE


def test_no_row_is_without_a_claim_of_the_course():
    assert set(ids()) <= set(COURSE)


def test_rows_stand_in_the_order_of_the_course():
    assert ids() == [claim_id for claim_id in COURSE if claim_id in ledger()]


@every_entry
def test_the_kind_is_the_one_agreed(claim_id):
    kind = "identity" if claim_id in IDENTITIES else "experiment"
    kind = "definition" if claim_id in DEFINITIONS else kind
    entry = ledger()[claim_id]
    assert entry.claim.kind == kind
    assert isinstance(entry, Definition if kind == "definition" else Experiment)


@every_entry
def test_a_row_says_what_where_and_by_whom(claim_id):
    claim = ledger()[claim_id].claim
    assert claim.said.endswith((".", "?", "!"))
    assert claim.correct.endswith(".")
    assert claim.source.strip()
    letter = claim_id[0]
    assert claim.notebook == HOMES.get(claim_id, NOTEBOOKS[letter])


@pytest.mark.parametrize("number", sorted({entry.claim.notebook for entry in ledger().values()}))
def test_the_notebook_of_a_row_exists(number):
    (found,) = (course_files() / "notebooks").glob(f"{number}_*.ipynb")
    assert json.loads(found.read_text(encoding="utf-8"))["cells"]


@every_entry
def test_a_config_is_frozen_and_its_seeds_are_plain(claim_id):
    entry = ledger()[claim_id]
    if isinstance(entry, Definition):
        assert entry.verdict in VERDICTS
        return
    assert type(entry.config).__dataclass_params__.frozen
    seeds = getattr(entry.config, "seeds", (0,))
    assert isinstance(seeds, tuple)
    assert len(set(seeds)) == len(seeds) > 0
    json.dumps(vars(entry.config))


@every_entry
def test_what_is_not_computed_on_the_spot_is_stored(claim_id):
    entry = ledger()[claim_id]
    assert entry.claim.kind != "experiment" or stored_evidence(entry) is not None


@pytest.mark.parametrize("claim_id", identities())
def test_an_identity_holds(claim_id):
    evidence = ledger()[claim_id].evidence()
    assert evidence.verdict in IDENTITIES.get(claim_id, "RIGHT").split()
    assert evidence.measured
    assert evidence.setting


def test_ids_sort_in_their_natural_order():
    assert sorted(["N4", "A2", "S10", "A18", "S2"], key=place) == ["S2", "S10", "A2", "A18", "N4"]


@pytest.mark.parametrize("claim_id", ["", "S", "X1", "SS", "S-1", "figure1"])
def test_an_id_is_a_letter_of_the_course_and_a_number(claim_id):
    with pytest.raises(ValueError, match="letters SADBTCRWPN and a number, got"):
        place(claim_id)


@pytest.fixture
def collect(monkeypatch):
    """The ledger of modules that hold these entries, one each."""

    def collect(*entries):
        modules = [SimpleNamespace(entry=entry) for entry in entries]
        monkeypatch.setattr(ledger_module, "lesson_modules", lambda prefix: modules)
        return ledger_module.runnable.__wrapped__()

    return collect


def definition(claim_id, verdict="RIGHT"):
    return Definition(Claim(claim_id, "a.", "b.", "definition", "01", "c"), verdict)


def test_two_rows_for_one_claim_are_refused(collect):
    with pytest.raises(ValueError, match="Two experiments test the claim S1"):
        collect(definition("S1"), definition("S1", "WRONG"))


def test_one_row_that_two_modules_share_is_one_row(collect):
    entry = definition("S1")
    assert collect(entry, entry) == {"S1": entry}


def test_the_ledger_is_sorted_whatever_the_order_of_modules(collect):
    assert list(collect(*map(definition, ["A1", "S10", "S2"]))) == ["S2", "S10", "A1"]


def test_a_misspelt_id_is_refused(collect):
    with pytest.raises(ValueError, match="got 'Z1'"):
        collect(definition("Z1"))


def test_the_ledger_needs_no_torch():
    code = (
        "import sys; from bnlab.course.experiments.ledger import ids; ids();"
        "print({'torch', 'matplotlib', 'rich', 'pandas', 'sympy'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "set()\n", loaded.stderr
