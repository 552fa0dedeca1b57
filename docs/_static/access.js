// A box that scrolls sideways takes the focus, so that arrow keys move it, and says what it is. One
// that fits takes none: nobody should have to tab through it.
const BOXES = { "pre": "code", ".table-wrapper, .text_html": "table", "div.math": "formula" };

function mend(box) {
  if (box.scrollWidth <= box.clientWidth) {
    ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
    return;
  }
  const kind = Object.keys(BOXES).find((kind) => box.matches(kind));
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${BOXES[kind]}, scrolls sideways`);
}

// Windows change, formulas come late, folded parts open: each of them changes a size.
const watch = new ResizeObserver((changes) => changes.forEach((change) => mend(change.target)));
for (const box of document.querySelectorAll(Object.keys(BOXES).join())) watch.observe(box);
