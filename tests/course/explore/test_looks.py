"""How every exploration looks: in a wide and in a narrow place, in light and dark, on paper."""

import pytest

from bnlab.course.explore import showing
from bnlab.course.explore.exploring import exploration, names

pytestmark = pytest.mark.slow
every = pytest.mark.parametrize("name", names())
# A state with as much in the picture as there can be.
FULL = {
    "batch": {"x": [1000, -1, 0, 0.5, 1, 2, 3, 4, 5, 6, 7, 8]},
    "company": {"m": 128, "ghost": 8, "clouds": {"128/8": 12 * [[6.0, 3], [5.0, 8]]}},
    "film": {"s": 1.0, "step": 200},
    "projection": {"step": 3},
}
# A desk, a phone, and JupyterLab on that phone, where 270 px are left between the margins.
WIDTHS = (1280, 390, 286)


@pytest.fixture
def full(house, mount):
    """full(name, width, scheme): the page with the fullest picture on it."""

    def put(name, width, scheme="light"):
        house.set_viewport_size({"width": width, "height": 844})
        house.emulate_media(color_scheme=scheme)
        return mount(name, **FULL[name])

    return put


@every
@pytest.mark.parametrize("width", WIDTHS)
def test_all_of_it_is_seen_and_large_enough(full, name, width):
    page = full(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sides = "nodes => nodes.map(n => n.getBoundingClientRect()).map(box => [box.left, box.right])"
    boxes = page.locator(".bnlab-explore :is(text, p, label, button, td, th)").evaluate_all(sides)
    ((left, right),) = page.locator(".bnlab-explore").evaluate_all(sides)
    assert left <= min(box[0] for box in boxes)
    assert max(box[1] for box in boxes) <= right
    scrolling = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth).length"
    assert page.locator(".bnlab-explore .fitted").evaluate_all(scrolling) == 0
    letters = page.locator("svg text").evaluate_all(
        "nodes => nodes.map(n => n.getScreenCTM().a * parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(letters) >= 11
    heights = page.locator("label").evaluate_all("nodes => nodes.map(n => n.clientHeight)")
    assert max(heights) < 30  # one line
    pressed = page.locator("button, input, [role=slider]").all()
    sides = [box.bounding_box()[side] for box in pressed for side in ("width", "height")]
    assert min(sides) >= 24


# The contrast with the paper of each text that is on the page, and of the colours of marks (WCAG).
CONTRASTS = """el => {
  const light = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 };
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number);
    return 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  };
  const probe = el.appendChild(document.createElement("i"));
  const of = name => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color };
  const contrast = colour => {
    const [high, low] = [colour, of("--paper")].map(luminance).sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const written = [...el.querySelectorAll("*")].filter(
    n => [...n.childNodes].some(part => part.nodeType === 3 && part.data.trim()));
  return {
    texts: written.map(n => [contrast(getComputedStyle(n)[n.closest("svg") ? "fill" : "color"]),
      n.textContent.trim()]),
    marks: ["--c0", "--c1", "--c2"].map(name => contrast(of(name))),
  };
}"""


@every
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_stand_out(full, name, scheme):
    found = full(name, 1280, scheme).locator(".bnlab-explore").evaluate(CONTRASTS)
    assert len(found["texts"]) > 10
    assert [text for contrast, text in found["texts"] if contrast < 4.5] == []
    assert min(found["marks"]) >= 3


@every
def test_on_paper_the_last_words_are_unfolded(house, name):
    found = exploration(name)
    page = showing.page_html(found, found.state)
    house.evaluate("page => { document.body.innerHTML = page }", page)
    seen = house.locator("details p")
    assert not seen.is_visible()
    house.emulate_media(media="print")
    assert seen.is_visible()
    assert seen.bounding_box()["height"] > 15
