// The film: histograms of what five tanh layers give while a network trains, without and with batch
// norm. First what is computed from the stored counts, then picture and page.

/** The counts of one frame, a row for each layer: base64 of uint16, the low byte first. */
export function decode({ text, bins }) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const rows = Array.from({ length: bytes.length / (2 * bins) }, (_, row) => 2 * bins * row);
  return rows.map((first) => Array.from({ length: bins }, (_, i) =>
    bytes[first + 2 * i] + 256 * bytes[first + 2 * i + 1]));
}

/** Counts -> the share of each bin divided by its width; the share in the two outermost bins. */
export function histogram({ counts, edges }) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const density = counts.map((count, i) => count / total / (edges[i + 1] - edges[i]));
  return { counts, density, saturated: (counts[0] + counts.at(-1)) / total };
}

/** One frame, without and with batch norm: percent right, and of each layer histogram and std. */
export function frame({ film, s, step }) {
  const [at, t] = [film.scales.indexOf(s), film.steps.indexOf(step)];
  return film.sides.map((name, side) => {
    const rows = decode({ text: film.counts[at][side][t], bins: film.edges.length - 1 });
    const layers = rows.map((counts, layer) => ({
      std: film.std[at][side][t][layer], ...histogram({ counts, edges: film.edges }) }));
    return { name, right: film.right[at][side][t], layers };
  });
}

const COLOURS = ["var(--c0)", "var(--c2)"];
const DASHES = ["none", "4 2"];
const [HEAD, ROW, BARS, LEFT, GAP] = [40, 66, 46, 36, 14]; // px
const NARROW = 340; // px: below it the words above a panel take two rows
const FRAME_MS = 125;
const percent = (share) => `${Math.round(100 * share)}%`;

function node(tag, attributes = {}, ...children) {
  const inPicture = ["svg", "g", "path", "text"].includes(tag);
  const made = document.createElementNS(
    inPicture ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A column of panels: where an output stands, and where its bars do. */
function column(width, side) {
  const wide = (width - LEFT - GAP) / 2;
  const left = LEFT + side * (wide + GAP);
  return { left, right: left + wide, x: (output) => left + (wide * (output + 1)) / 2 };
}

/** The outline of a histogram, cut at the top of its panel. */
function outline({ density }, { edges, top }, x, floor) {
  const y = (value) => (floor - BARS * Math.min(1, value / top)).toFixed(1);
  const bars = density.map((value, i) => `V${y(value)}H${x(edges[i + 1]).toFixed(1)}`);
  return `M${x(edges[0])},${floor}${bars.join("")}V${floor}`;
}

function panel(layer, first, film, { left, right, x }, side, floor, fold) {
  const line = { fill: "none", stroke: "var(--quiet)", "stroke-dasharray": "1 2" };
  return [
    node("path", { d: outline(layer, film, x, floor), fill: COLOURS[side], "fill-opacity": 0.45,
      stroke: COLOURS[side], "stroke-width": 1.5, "stroke-dasharray": DASHES[side] }),
    node("path", { d: outline(first, film, x, floor), ...line }),
    node("path", { d: `M${left},${floor}H${right}`, stroke: "var(--quiet)" }),
    node("text", { x: left, y: floor - BARS - 5 - fold }, `std ${layer.std.toFixed(4)}`),
    node("text", { x: fold ? left : right, y: floor - BARS - 5, "text-anchor": fold ? "start" : "end" },
      `flat ${percent(layer.saturated)}`)];
}

function scene(now, first, film, width, fold) {
  const floor = (layer) => HEAD + ROW * layer + BARS + 18 + fold * (layer + 1);
  const end = floor(now[0].layers.length - 1);
  const names = now[0].layers.flatMap((_, layer) => [
    node("text", { x: 0, y: floor(layer) - 20, class: "quiet" }, "layer"),
    node("text", { x: 11, y: floor(layer) - 6, class: "quiet" }, `${layer + 1}`)]);
  return [...names, ...now.flatMap(({ name, right, layers }, side) => {
    const place = column(width, side);
    const middle = { x: place.x(0), "text-anchor": "middle" };
    return [node("text", { ...middle, y: 14, style: `font-weight: ${fold ? 400 : 600}` }, name),
      node("text", { ...middle, y: 30 }, `${right.toFixed(0)}% right`),
      ...layers.flatMap((layer, i) =>
        panel(layer, first[side].layers[i], film, place, side, floor(i), fold)),
      ...[-1, 0, 1].map((tick) => node("text", { x: place.x(tick), y: end + 15, class: "quiet",
        "text-anchor": ["start", "middle", "end"][tick + 1] }, `${tick}`.replace("-", "−"))),
      node("text", { ...middle, y: end + 30, class: "quiet" }, "output of tanh")];
  })];
}

function render({ model, el }) {
  const film = model.get("film");
  const [get, last] = [(name) => model.get(name), film.steps.at(-1)];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let [timer, dragged] = [null, false];

  el.classList.add("bnlab-explore");
  const picture = node("svg", { role: "img" });
  const sizes = film.scales.map((s) => node("button", { type: "button", value: s }, `s = ${s}`));
  const play = node("button", { type: "button", style: "min-width: 5.5em" });
  const slider = node("input", { type: "range", min: 0, max: last, step: film.steps[1] });
  const shown = node("output");
  const said = node("p", { "aria-live": "polite", class: "numbers" });
  const group = { class: "controls", role: "group", "aria-label": "Size s of the first weights" };
  el.replaceChildren(node("div", group, ...sizes),
    node("div", { class: "controls" }, play, node("label", {}, "step", slider, shown)),
    picture, said, node("p", {}, "std: how much a unit differs from image to image (standard " +
      "deviation, mean of 100 units). flat: outputs beyond ±0.97, where tanh is flat. " +
      "Dotted: before training. Tall bars are cut at the top."));

  function draw() {
    const [s, step, width] = [get("s"), get("step"), Math.max(240, el.clientWidth)];
    const [now, first] = [frame({ film, s, step }), frame({ film, s, step: 0 })];
    const [fold, rows] = [width < NARROW ? 14 : 0, now[0].layers.length];
    picture.setAttribute("viewBox", `0 0 ${width} ${HEAD + (ROW + fold) * rows + 34}`);
    picture.setAttribute("aria-label",
      `Histograms of the outputs of five layers, s = ${s}, step ${step}`);
    picture.replaceChildren(...scene(now, first, film, width, fold));
    sizes.forEach((button) => button.setAttribute("aria-pressed", Number(button.value) === s));
    slider.value = step;
    shown.textContent = step;
    const go = calm.matches ? "Next" : "Play";
    play.textContent = timer ? "Pause" : step === last ? "Start again" : go;
    if (!timer && !dragged) said.textContent = inWords(now, s, step);
  }

  function inWords(sides, s, step) {
    const parts = sides.map(({ name, right, layers }) => `${name} ${right.toFixed(0)}% right, ` +
      `layer 5: std ${layers.at(-1).std.toFixed(4)}, ${percent(layers.at(-1).saturated)} flat`);
    return `s = ${s}, step ${step}: ${parts.join("; ")}.`;
  }

  function stop() {
    clearInterval(timer);
    [timer, dragged] = [null, false];
    model.save_changes();
    draw();
  }

  function advance() {
    model.set("step", film.steps[film.steps.indexOf(get("step")) + 1]);
    if (calm.matches || get("step") === last) stop();
  }

  play.addEventListener("click", () => {
    if (timer) return stop();
    if (get("step") === last) model.set("step", 0);
    else if (calm.matches) return advance();
    if (calm.matches) return stop();
    timer = setInterval(advance, FRAME_MS);
    draw();
  });
  slider.addEventListener("input", () => {
    dragged = true;
    model.set("step", Number(slider.value));
  });
  slider.addEventListener("change", stop);
  for (const button of sizes) {
    button.addEventListener("click", () => {
      model.set("s", Number(button.value));
      model.save_changes();
    });
  }

  el.addEventListener("keydown", (event) => { // or JupyterLab takes these keys for its cells
    if (/^(Arrow.*|Enter| )$/.test(event.key)) event.stopPropagation();
  });

  const names = ["change:s", "change:step"];
  names.forEach((name) => model.on(name, draw));
  const observer = new ResizeObserver(draw);
  observer.observe(el);
  draw();
  return () => {
    clearInterval(timer);
    observer.disconnect();
    names.forEach((name) => model.off(name, draw));
  };
}

export default { render };
