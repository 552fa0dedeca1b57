"""CITATION.cff says what the package says of itself, and names nobody who is not known."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_it_has_the_keys_that_the_format_requires():
    assert CITATION["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type", "version"} <= set(CITATION)


def test_version_licence_and_keywords_are_those_of_the_package():
    project = PROJECT["project"]
    assert CITATION["version"] == project["version"]
    assert CITATION["license"] == project["license"].split(" AND ")
    assert CITATION["keywords"] == project["keywords"]


def test_the_authors_are_an_entity_and_those_of_the_licence():
    assert CITATION["authors"] == [{"name": "the bnlab authors"}]
    assert "the bnlab authors" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_it_travels_with_the_source():
    assert "/CITATION.cff" in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
