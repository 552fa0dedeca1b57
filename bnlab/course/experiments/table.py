"""The ledger as a table: identities computed on the spot, experiments read from stored results."""

import json
import time

from bnlab import __version__
from bnlab.course.experiments import stored
from bnlab.course.experiments.columns import from_columns, to_columns
from bnlab.course.experiments.evidence import Definition, Evidence
from bnlab.course.experiments.ledger import ledger
from bnlab.data import course_files

__all__ = ["as_markdown", "evidence_of", "keep", "keep_verdict", "run_and_keep", "side_by_side",
           "stored_arrays", "stored_evidence"]  # fmt: skip

VERDICT = ("verdict", "measured", "uncertainty")


def keep(entry, arrays, seconds):
    """Store a long result: the arrays of a run with the entry's own config, and what they say.

    Parameters
    ----------
    entry : Experiment
    arrays : dict of ndarray
        All with the seeds as their first axis.
    seconds : float
        How long the run took.

    Returns
    -------
    Evidence
    """
    stored.save(entry, to_columns(arrays), _results() / f"{entry.claim.id}.csv")
    # Judge what is in the file, so that whoever reads it finds the same last digits.
    return keep_verdict(entry, entry.read(stored_arrays(entry.claim.id)), seconds)


def keep_verdict(entry, evidence, seconds):
    """Store what a run of an experiment found, in a JSON file named by its claim."""
    about = {"claim": entry.claim.id, "bnlab": __version__, "seconds": round(seconds)}
    found = {name: getattr(evidence, name) for name in VERDICT}
    text = json.dumps(about | found, indent=1, ensure_ascii=False)
    (_results() / f"{entry.claim.id}.json").write_text(text + "\n", encoding="utf-8")
    return evidence


def stored_arrays(claim_id):
    """Arrays of a long result, as the experiment's run returned them."""
    return from_columns(stored.load(claim_id)[0])


def stored_evidence(entry):
    """Evidence as it was stored, or None."""
    path = _results() / f"{entry.claim.id}.json"
    if not path.exists():
        return None
    about = json.loads(path.read_text(encoding="utf-8"))
    return Evidence(entry.claim, *(about[n] for n in ("measured", "verdict", "uncertainty")))


def evidence_of(entry):
    """Evidence for one line of the table: live where it is quick, stored where it is not.

    What has a stored verdict is read, an identity without one is computed.

    Returns
    -------
    evidence : Evidence or None
        None if an experiment has no stored result yet.
    how : {"source", "live", "stored"}
    """
    if isinstance(entry, Definition):
        return entry.evidence(), "source"
    evidence = stored_evidence(entry)
    if evidence is None and entry.claim.kind == "identity":
        return entry.evidence(), "live"
    return evidence, "stored"


def side_by_side(claim_id, **smaller):
    """Say what is stored for a claim, and which verdict a smaller run gives here and now.

    Parameters
    ----------
    claim_id : str
    **smaller
        Fields of the experiment's config to replace.

    Returns
    -------
    str
    """
    entry = ledger()[claim_id]
    kept, here = stored_evidence(entry), entry.evidence(**smaller)
    return (
        f"{claim_id}, claim: {entry.claim.said}\n"
        f"    stored:   {kept.measured} ({kept.uncertainty})\n"
        f"    verdict:  {kept.verdict}. {entry.claim.correct}\n"
        f"    recomputed here, smaller: {here.verdict}"
    )


def run_and_keep(entry):
    """Run an experiment with its own config and store the verdict; may take a minute."""
    start = time.perf_counter()
    evidence = entry.evidence()
    return keep_verdict(entry, evidence, time.perf_counter() - start)


def as_markdown(found):
    """Table of claims in Markdown, one line a claim, with links to the notebooks.

    Parameters
    ----------
    found : dict
        Claim id -> (`Evidence`, how), in the order of the lines.

    Returns
    -------
    str
    """
    lines = ["| id | claim | taught in | measured | verdict |", "|---|---|---|---|---|"]
    links = {path.stem[:2]: path.name for path in (course_files() / "notebooks").glob("*.ipynb")}
    for name, (evidence, how) in found.items():
        claim, number = evidence.claim, evidence.claim.notebook
        taught = f"[{number}]({links[number]})" if number in links else number
        measured = claim.source if how == "source" else f"{evidence.measured} ({how})"
        cells = (name, claim.said, taught, measured, evidence.verdict)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _results():
    return course_files() / "data" / "results"
