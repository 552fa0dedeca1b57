// Cut what is too tall for its slide, then let reveal.js show the slides.

const fits = (slide) => slide.scrollHeight <= slide.clientHeight;
const isHeading = (element) => element?.matches("h1, h2, h3, h4, h5, h6") ?? false;
const isList = (element) => element?.matches("ul, ol, table") ?? false;
// The line that announces a list: "The accuracy:", "Which values end there?", or all of it bold.
const announces = (element) => element?.matches("p") && (/[:?]( \(continued\))?$/.test(element.textContent.trim()) ||
  element.textContent.trim() === element.querySelector("strong")?.textContent.trim());

// Whether a slide ends with all that its cell has printed, and the next one begins with text.
const endsInPrint = (slide, next) => slide.lastElementChild.matches("pre.output") &&
  !next.firstElementChild.matches(".output");

// A slide that is a little too tall gets a smaller font. From others the last blocks move to a new
// slide until the rest fits, and there it goes on.
function cut(slide) {
  if (shrink(slide, 85)) return;
  slide.style.fontSize = "";
  const next = slide.cloneNode(false);
  slide.after(next);
  const blocks = slide.children;
  const isParted = () => isHeading(slide.lastElementChild) ||
    (isList(next.firstElementChild) && announces(slide.lastElementChild));
  while (!fits(slide) && blocks.length > 1) {
    next.prepend(slide.lastElementChild);
    if (endsInPrint(slide, next) && shrink(slide, 85)) break;
    slide.style.fontSize = "";
  }
  while (blocks.length > 1 && isParted()) next.prepend(slide.lastElementChild);
  while (next.children.length && isParted()) slide.append(next.firstElementChild);
  shorten(slide.lastElementChild, slide, next);
  if (next.children.length) cut(next);
  else next.remove();
}

// Whether the slide fits with a font of this many percent, or with a larger one.
function shrink(slide, smallest) {
  for (let size = 100; !fits(slide) && size >= smallest; size -= 5) slide.style.fontSize = `${size}%`;
  return fits(slide);
}

// One block may be too tall: the last rows of a table, or points of a list, go on. Code gets smaller,
// down to what can just be read; beyond that the slide scrolls.
function shorten(block, slide, next) {
  const rows = block.querySelector("tbody") ?? (block.matches("ul, ol") ? block : null);
  if (!fits(slide) && rows) {
    const rest = block.cloneNode(true);
    const later = rest.querySelector("tbody") ?? rest;
    later.replaceChildren();
    while (!fits(slide) && rows.children.length > 1) later.prepend(rows.lastElementChild);
    next.prepend(...(isList(block) ? continued(block.previousElementSibling) : []), rest);
  }
  shrink(slide, 60);
}

// The title of a list or a table, for the slide on which it goes on.
function continued(title) {
  if (!isHeading(title) && !announces(title)) return [];
  const again = title.cloneNode(true);
  if (!again.textContent.endsWith("(continued)")) again.append(" (continued)");
  return [again];
}

function start() {
  document.body.classList.add("measuring");
  document.querySelectorAll(".slides > section > section").forEach(cut);
  document.body.classList.remove("measuring");
  Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, transition: "none",
    navigationMode: "linear", slideNumber: "c/t", hash: true, scrollActivationWidth: null,
  });
}

// Pictures have their size, and fonts their width, only when everything is loaded.
window.addEventListener("load", () => document.fonts.ready.then(start));
