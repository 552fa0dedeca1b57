"""One image in ever new company: the same batches and logits in Python and in the browser."""

import re

import numpy as np
import pytest

from bnlab.course.explore import company as explored
from bnlab.course.explore.company import COMPANY, SIZES, THREE, company, images, logits, settled
from bnlab.course.explore.exploring import exploration

N = len(images()) - 1


def cloud(m, ghost, draws):
    """[logit of three, answer] for each draw, as the module keeps them."""
    found = [logits(company(m, k)[:ghost]) for k in range(draws)]
    return [[row[THREE], int(row.argmax())] for row in found]


def scatter(m, ghost, draws):
    return np.std([logit for logit, _ in cloud(m, ghost, draws)])


def test_nobody_is_twice_in_a_company_and_everybody_can_be_in_it():
    drawn = [company(64, k) for k in range(200)]
    assert all(rows[0] == 0 and len(set(rows)) == 64 for rows in drawn)
    others = np.concatenate([rows[1:] for rows in drawn])
    assert (others.min(), others.max()) == (1, N)
    counts = np.bincount(others, minlength=N + 1)[1:]  # 63 * 200 / 1145 = 11 each
    assert counts.mean() == pytest.approx(11.0, abs=0.1)
    assert counts.std() == pytest.approx(np.sqrt(11), rel=0.15)


def test_looking_on_does_not_change_the_network():
    before = settled()
    logits(company(4, 0))
    assert settled() == before


def test_the_scatter_falls_nearly_as_one_over_root_m():
    constants = [scatter(m, m, 200) * np.sqrt(m) for m in SIZES]
    assert np.max(constants) / np.min(constants) < 1.5  # the scatter itself falls by a factor of 5


def test_a_ghost_scatters_as_a_batch_of_its_size_does():
    ghost, small, large = scatter(128, 8, 300), scatter(8, 8, 300), scatter(128, 128, 100)
    assert ghost == pytest.approx(small, rel=0.2)
    assert ghost > 2.5 * large


def test_the_still_shows_every_draw():
    figure = COMPANY.still(COMPANY.state)
    dots, points = figure.axes
    assert sum(len(line.get_xdata()) for line in dots.lines[1:]) == explored.DRAWS * len(SIZES)
    assert list(points.lines[1].get_xdata()) == list(np.log2(SIZES))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"m": 5}, "m is one of 4, 8, 16, 32, 64, 128, got 5"),
        ({"ghost": 2}, "ghost is one of 4, 8, 16, 32, 64, 128, got 2"),
        ({"m": 8, "ghost": 16}, "ghost is at most m, .* got 16 of 8"),
        ({"ghost": 32}, "ghost is at most m, .* got 32 of 16"),
    ],
)
def test_a_state_without_sense_gets_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        exploration("company").with_changes(change)


def test_a_batch_of_which_no_ghost_is_named_is_one_ghost():
    assert exploration("company").with_changes({"m": 8})["ghost"] == 8
    assert exploration("company").with_changes({"m": 8, "ghost": 4})["ghost"] == 4


def test_who_follows_the_words_sees_all_that_they_compare():
    batches, ghost = re.search(
        r"for batches of ([^.]*)\..* ghosts of (\d+)", COMPANY.first
    ).groups()
    batches = [int(size) for size in re.findall(r"\d+", batches)]
    assert int(ghost) in batches  # the cloud that the last one is to be compared with
    assert set(batches) <= set(SIZES)


def test_a_colour_means_in_the_still_what_it_means_in_the_notebook():
    figure = COMPANY.still(COMPANY.state)
    colours = {line.get_label(): line.get_color() for ax in figure.axes for line in ax.lines}
    assert colours["evaluation mode"] == "C1"
    assert colours["three"] == colours["another answer"] == "C0"


@pytest.mark.slow
class TestInTheBrowser:
    @pytest.mark.parametrize(("m", "k"), [(4, 0), (16, 3), (128, 99)])
    def test_the_batches_are_those_of_python(self, call, m, k):
        assert call("company", "company", {"n": N, "m": m, "k": k}) == company(m, k)

    @pytest.mark.parametrize(("m", "ghost"), [(4, 4), (32, 32), (128, 128), (128, 8)])
    def test_the_logits_are_those_of_the_package(self, house, m, ghost):
        ask = 'async ([net, rows]) => (await import("./company.js")).logits(net, rows)'
        rows = company(m, 7)[:ghost]
        assert house.evaluate(ask, [COMPANY.data(), rows]) == pytest.approx(logits(rows), abs=1e-9)

    def test_the_scatter_is_the_biased_standard_deviation(self, call):
        some = cloud(16, 16, 9)
        values = [logit for logit, _ in some]
        found = call("company", "scatter", some)
        assert found == pytest.approx([np.mean(values), np.std(values)], rel=1e-9)

    def test_a_hundred_draws_are_those_of_python_and_python_sees_them(self, mount, state):
        page = mount("company")
        page.get_by_role("button", name="Draw 100").click()
        page.wait_for_function("mounted[0].model.get('clouds')['16/16']?.length === 100")
        expected = cloud(16, 16, 100)
        assert np.array(state()["clouds"]["16/16"]) == pytest.approx(np.array(expected), abs=1e-9)
        said = page.locator("[aria-live]").inner_text()
        share = np.mean([answer != THREE for _, answer in expected])
        assert f"scatters by {scatter(16, 16, 100):.1f}" in said
        assert f"in {share:.0%}." in said

    def test_a_scatter_is_told_of_two_and_a_company_shown_of_one(self, mount):
        page = mount("company")
        said, pixels = page.locator("[aria-live]"), page.locator("svg").nth(2).locator("path").first
        assert said.inner_text() == "Batches of 16: none drawn yet."
        alone = len(pixels.get_attribute("d"))
        page.get_by_role("button", name="Draw one company").click()
        assert (
            said.inner_text()
            == f"Batches of 16: 1 drawn, the logit is {cloud(16, 16, 1)[0][0]:.1f}."
        )
        assert len(pixels.get_attribute("d")) > 10 * alone
        page.get_by_role("button", name="Draw one company").click()
        assert f"2 drawn, the logit scatters by {scatter(16, 16, 2):.1f} about" in said.inner_text()

    def test_colours_are_those_of_the_still(self, mount):
        page = mount("company", m=32, ghost=4, clouds={"32/4": [[6.0, 3]], "4/4": [[5.0, 3]]})
        drawn = "all => all.map(path => [path.getAttribute('d').slice(-2), path.style.stroke])"
        paths = page.locator("svg").first.locator("path").evaluate_all(drawn)
        assert [stroke for d, stroke in paths if d == "92"] == ["var(--c1)"]  # evaluation
        assert [stroke for d, stroke in paths if d == "h0"] == ["var(--c2)", "var(--c0)"]

    def test_a_draw_in_ghosts_is_one_of_the_ghost_alone(self, mount, state):
        page = mount("company", m=32, ghost=4)
        page.get_by_role("button", name="Draw one company").click()
        assert np.array(state()["clouds"]["32/4"]) == pytest.approx(np.array(cloud(32, 4, 1)))

    def test_it_can_be_stopped_and_forgotten(self, mount, state):
        page = mount("company", m=128, ghost=128)
        page.get_by_role("button", name="Draw 100").click()
        page.get_by_role("button", name="Stop").click()
        assert 0 < len(state()["clouds"]["128/128"]) < 100
        page.get_by_role("button", name="Forget all").click()
        assert state()["clouds"] == {}

    def test_keys_change_the_batch_and_a_ghost_is_never_larger(self, mount, state):
        page = mount("company")
        page.get_by_label("batch size m").press("End")
        assert (state()["m"], state()["ghost"]) == (128, 128)
        page.get_by_label("in ghosts of").press("Home")
        page.get_by_label("in ghosts of").press("ArrowRight")
        assert (state()["m"], state()["ghost"]) == (128, 8)
        page.get_by_label("batch size m").press("Home")
        assert (state()["m"], state()["ghost"]) == (4, 4)
        page.get_by_role("button", name="Draw one company").click()
        assert [len(some) for some in state()["clouds"].values()] == [1]

    def test_only_the_ghost_is_seen_in_full_ink(self, mount):
        page = mount("company", m=32, ghost=4, clouds={"32/4": [[6.0, 3]]})
        inks = page.locator("svg").nth(2).locator("path")
        lengths = [len(inks.nth(i).get_attribute("d")) for i in range(2)]
        assert lengths[0] == pytest.approx(lengths[1] * 4 / 28, rel=0.3)

    def test_with_reduced_motion_the_draws_come_all_at_once(self, mount):
        page = mount("company", m=128, ghost=128)
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("button", name="Draw 100").click()
        picture = page.locator("svg").first
        before = picture.inner_html()
        page.wait_for_timeout(150)
        if page.get_by_role("button", name="Stop").count():  # a slow machine is still at it
            assert picture.inner_html() == before
        page.wait_for_function("mounted[0].model.get('clouds')['128/128']?.length === 100")
        assert picture.inner_html() != before

    def test_it_starts_at_once(self, mount):
        assert mount("company").evaluate("mounted[0].took") < 150  # ms
