"""`claim` and `record`: how a notebook speaks to the experiments."""

import dataclasses
import re

import numpy as np
import pytest

from bnlab.course import claim, record
from bnlab.course.experiments import results
from bnlab.course.experiments.evidence import Definition
from bnlab.course.experiments.ledger import LETTERS, ledger
from bnlab.course.experiments.record import Told, as_markdown, group


def test_a_card_says_what_the_kept_arrays_say():
    entry = ledger()["W1"]
    assert claim("W1").card() == entry.read(claim("W1").arrays)
    assert claim("w1") == claim("W1")


def test_a_card_follows_the_arrays(monkeypatch):
    """Nothing is stored but arrays: other arrays, another sentence."""
    arrays, made = results.stored("W1")
    arrays = arrays | {
        f"{net}_{to}": arrays[f"{net}_{of}"]
        for net in ("relu", "sigmoid")
        for to, of in (("plain", "bn"), ("bn", "plain"))
    }
    monkeypatch.setattr(results, "load", lambda path: (arrays, made))
    assert claim("W1").card().verdict == "NOT REPRODUCED"


def test_an_identity_is_computed_and_a_definition_has_its_source():
    assert claim("D2").card().verdict == "RIGHT"
    assert claim("S1").card().measured == "nothing: by source"


def test_without_a_kept_run_the_card_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "course_files", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"`bnlab experiment run W1 --keep` makes them"):
        claim("W1").card()


def test_run_takes_a_smaller_config():
    assert "1 seed" in claim("W1").run(lrs=(0.1,), steps=5, seeds=(0,)).setting


def test_draw_uses_the_experiments_own_figure():
    seen = []
    entry = dataclasses.replace(ledger()["W1"], draw=lambda arrays: seen.append(arrays) or "axes")
    assert Told(entry).draw() == "axes"
    np.testing.assert_array_equal(seen[0]["relu_bn"], claim("W1").arrays["relu_bn"])


def test_an_identity_is_drawn_from_what_it_computes_now():
    entry = dataclasses.replace(ledger()["D3"], draw=lambda arrays: arrays)
    drawn, now = Told(entry).draw(), entry.run(entry.config)
    assert list(drawn) == list(now)


def test_a_definition_has_nothing_to_draw():
    with pytest.raises(ValueError, match="draw needs an experiment; S1 is decided by its source"):
        claim("S1").draw()


def test_a_claim_that_is_not_there_gets_a_sentence():
    with pytest.raises(ValueError, match=r"There is no experiment 'Z9'; `bnlab experiment list`"):
        claim("Z9")


def test_a_record_has_a_row_for_each_claim_of_its_notebook():
    mine = [name for name, entry in ledger().items() if entry.claim.notebook == "02"]
    lines = str(record("02")).splitlines()
    assert [line.split()[0] for line in lines] == mine
    rows = record("02")._repr_markdown_().splitlines()
    assert len(rows) == 2 + len(mine)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert any(isinstance(ledger()[name], Definition) for name in mine)


def test_a_record_of_no_notebook_gets_a_sentence():
    with pytest.raises(ValueError, match="record needs a notebook that teaches claims, got '99'"):
        record("99")


@pytest.mark.parametrize("letter", LETTERS)
def test_a_group_has_a_row_for_each_claim_of_its_letter(letter):
    ids = [name for name in ledger() if name.startswith(letter)]
    assert [line.split()[0] for line in str(group(letter)).splitlines()] == ids
    assert list(group(letter)) == ids


def test_a_group_says_how_it_was_found_and_what_cifar_says():
    found = group("W")
    assert [found[name][1] for name in ("W1", "W12")] == ["stored", "source"]
    assert group("S")["S7"][1] == "live"
    table = found._repr_markdown_()
    assert table == as_markdown(found)
    assert table.splitlines()[0].split(" | ")[-1] == "on CIFAR-10 |"
    rows = {row.split(" | ")[0].strip("| "): row for row in table.splitlines()[2:]}
    assert list(rows) == list(found)
    assert rows["W1"].endswith("| RIGHT | RIGHT |")
    assert rows["W5"].endswith("| IMPRECISE |  |")  # no plan: nothing is promised


def test_a_group_of_no_claim_gets_a_sentence():
    with pytest.raises(ValueError, match="one of SADBTCRWPN, got 'Z'"):
        group("Z")
