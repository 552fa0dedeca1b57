// A few values of one feature on a line, and what batch norm makes of them.

const FEWEST = 3, MOST = 12, OUTLIER = 1000; // as in batch.py
const KEYS = ["x", "gamma", "beta", "eps"];

// Algorithm 1 of Ioffe & Szegedy 2015, and the bound of every |x_hat| (Samuelson 1968).
export function batchnorm({ x, gamma, beta, eps }) {
  const average = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const mean = average(x);
  const variance = average(x.map((v) => (v - mean) ** 2)); // by m, not by m - 1
  const x_hat = x.map((v) => (v - mean) / Math.sqrt(variance + eps));
  const y = x_hat.map((v) => gamma * v + beta);
  return { mean, variance, x_hat, y, bound: Math.sqrt(x.length - 1) };
}

const lines = (batch) => [batch.x, batchnorm(batch).x_hat, batchnorm(batch).y];
// x, x_hat and y, one below the other: how far each line reaches, and the marks on it.
const LINES = [
  { reach: 10, every: 5, shape: "M-7,0a7,7 0 1,0 14,0a7,7 0 1,0 -14,0z", fill: "var(--c0)" },
  { reach: 3.6, every: 1, shape: "M-6,-6h12v12h-12z", fill: "var(--c1)" },
  { reach: 10, every: 5, shape: "M0,-7l7,13h-14z", fill: "var(--c2)" },
];
const TALL = 92, AXIS = 54, MARGIN = 18; // px: a line with its words, its axis, room at both ends
const NARROW = 360; // px: below it the words above a line take two rows
const FREE = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6]; // where a value is added, if none is near
const BAND = { stroke: "var(--grid)", "stroke-width": 8 }, THICK = { "stroke-width": 2 };
const GHOST = { fill: "none", stroke: "var(--quiet)", "stroke-dasharray": "2 2" };
const down = (k) => k * TALL + AXIS;
const KEY_STEPS = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, Home: -99, End: 99 };

const clamp = (v, reach) => Math.max(-reach, Math.min(reach, v));
const text = (v, digits = 2) => v.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
function add(parent, tag, attributes = {}, words = "") {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent.namespaceURI;
  const node = set(document.createElementNS(space, tag), attributes);
  node.textContent = words;
  return parent.appendChild(node);
}

function render({ model, el }) {
  const snapshot = () => Object.fromEntries(KEYS.map((key) => [key, model.get(key)]));
  const first = snapshot();
  let batch = first; // what is drawn; while something moves it is ahead of the model
  let before = null; // the batch before the last movement: the ghost
  let moving = false, chosen = 0, width = 0;

  el.classList.add("bnlab-explore");
  el.onkeydown = (e) => { if (/^(Arrow|Enter$| $)/.test(e.key)) e.stopPropagation(); }; // JupyterLab
  const svg = add(el, "svg", { role: "group", "aria-label": "The values of the batch" });
  const drawing = add(svg, "g", { "aria-hidden": "true" });
  const handles = add(svg, "g");
  const [ranges, buttons] = [0, 1].map(() => add(el, "div", { class: "controls" }));
  const said = add(el, "p", { "aria-live": "polite" });

  // A movement: `move` as often as it likes, then `rest`, which tells Python and the ear.
  function move(changes) {
    if (!moving) before = snapshot();
    moving = true;
    batch = { ...batch, ...changes };
    draw();
  }
  function rest() {
    if (!moving) return;
    moving = false;
    const done = batch; // each `set` reads the model back
    for (const key of KEYS) model.set(key, done[key]);
    model.save_changes();
  }
  const jump = (changes, choice) => { chosen = choice; move(changes); rest(); };
  const moveTo = (v) => move({ x: batch.x.with(chosen, Math.round(10 * clamp(v, 10)) / 10) });

  // Controls: a range returns how it shows the batch.
  function range(name, low, high, step, digits, toRange = (v) => v, fromRange = (v) => v) {
    const label = add(ranges, "label", {}, name);
    const input = add(label, "input", { type: "range", min: low, max: high, step });
    const shown = add(label, "output");
    input.addEventListener("input", () => move({ [name]: fromRange(Number(input.value)) }));
    input.addEventListener("change", rest);
    return () => {
      input.value = toRange(batch[name]);
      shown.textContent = digits ? text(batch[name], digits) : `${Number(batch[name].toPrecision(3))}`;
      input.setAttribute("aria-valuetext", shown.textContent);
    };
  }
  const button = (words, onclick) =>
    Object.assign(add(buttons, "button", { type: "button" }, words), { onclick });
  const settings = [range("gamma", -3, 3, 0.1, 1), range("beta", -5, 5, 0.1, 1),
    range("eps", -5, 2, 1, 0, Math.log10, (k) => Number(`1e${k}`))];
  const append = (v) => batch.x.length < MOST && jump({ x: [...batch.x, v] }, batch.x.length);
  const free = () => FREE.find((place) => batch.x.every((v) => Math.abs(v - place) >= 0.5));
  const longer = [button("Add a value", () => append(free())), button("Add an outlier", () => append(OUTLIER))];
  const shorter = button("Remove the chosen value", () => batch.x.length > FEWEST &&
    jump({ x: batch.x.toSpliced(chosen, 1) }, Math.max(0, chosen - 1)));
  button("Start again", () => jump(first, 0));

  // One handle for each value of x. They stay while they move, or they would lose the finger.
  function handle(i) {
    const node = add(handles, "g", { role: "slider", tabindex: 0, "aria-valuemin": -10 });
    add(node, "circle", { r: 14, fill: "transparent", stroke: "none" }); // a finger needs more than the eye
    add(node, "path", { d: LINES[0].shape, fill: LINES[0].fill });
    node.addEventListener("focus", () => draw(i));
    node.addEventListener("pointerdown", ({ pointerId }) => node.setPointerCapture(pointerId));
    node.addEventListener("pointerdown", () => node.focus());
    node.addEventListener("pointermove", (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left - width / 2;
      if (node.hasPointerCapture(event.pointerId)) moveTo((10 * x) / (width / 2 - MARGIN));
    });
    node.addEventListener("keydown", (event) => {
      const step = KEY_STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      moveTo(batch.x[i] + step * (event.shiftKey ? 10 : 1));
    });
    for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) node.addEventListener(end, rest);
  }

  // Drawing
  const across = (k, v) => width / 2 + clamp(v, LINES[k].reach) / LINES[k].reach * (width / 2 - MARGIN);
  const stroke = (d, look) => add(drawing, "path", { d, fill: "none", stroke: "var(--ink)", ...look });
  const write = (x, y, words, look = "") => add(drawing, "text", { x, y, class: look }, words);
  const beyond = (k, v) => Math.abs(v) <= LINES[k].reach ? "" : v > 0 ? " →" : " ←"; // its line ends before
  const bar = (k, v, look) => stroke(`M${across(k, v)},${down(k) - 13}v26`, { ...THICK, ...look });
  const marks = (values, look) => values.forEach((line, k) => line.forEach((v) => add(drawing, "path", {
    d: LINES[k].shape, transform: `translate(${across(k, v)},${down(k)})`, fill: LINES[k].fill, ...look })));
  function draw(choice = chosen) {
    chosen = choice;
    width = el.clientWidth;
    const fold = width < NARROW ? 14 : 0;
    svg.setAttribute("viewBox", `0 ${-fold} ${width} ${3 * TALL + fold}`);
    const { mean, variance, bound } = batchnorm(batch), deviation = Math.sqrt(variance);
    const values = lines(batch), m = batch.x.length;
    const after = Math.sqrt(variance / (variance + batch.eps)); // the deviation of x_hat
    const ends = beyond(0, mean - deviation) + beyond(0, mean + deviation);
    const words = [
      [`x: mean (bar) ${text(mean)}${beyond(0, mean)},`, `deviation (band) ${text(deviation)}${ends}`],
      [`x_hat: mean 0, deviation ${text(after)},`, `bound √(${m} − 1) = ${text(bound)}`],
      [`y: mean ${text(batch.beta)}, deviation ${text(Math.abs(batch.gamma) * after)}`]];
    drawing.replaceChildren();
    for (let i = 0; i < m; i++) { // from x_i to its x_hat to its y
      const points = values.map((line, k) => `${across(k, line[i])},${down(k)}`);
      stroke(`M${points.join("L")}`, i === chosen ? {} : { stroke: "var(--grid)" });
    }
    stroke(`M${across(0, mean - deviation)},${AXIS}H${across(0, mean + deviation)}`, BAND);
    for (const [k, { reach, every }] of LINES.entries()) {
      stroke(`M${MARGIN},${down(k)}H${width - MARGIN}`, { stroke: "var(--quiet)" });
      for (let v = -every * Math.floor(reach / every); v <= reach; v += every) {
        write(across(k, v), down(k) + 26, text(v, 0), "middle quiet");
      }
      const rows = fold ? words[k].toReversed() : [words[k].join(" ")];
      for (const [i, row] of rows.entries()) write(0, down(k) - 38 - fold * i, row);
      const v = values[k][chosen];
      const inside = width / 2 + clamp(across(k, v) - width / 2, width / 2 - 40);
      write(inside, down(k) - 17, text(v) + beyond(k, v), "middle strong");
    }
    const s = Math.sign(mean);
    if (beyond(0, mean)) stroke(`M${across(0, mean) + 9 * s},${AXIS - 7}l${7 * s},7l${-7 * s},7`, THICK);
    else bar(0, mean);
    for (const v of [-bound, bound]) bar(1, v, { "stroke-dasharray": "4 2" });
    if (before) marks(lines(before), GHOST);
    marks([[], ...values.slice(1)], { stroke: "var(--paper)" }); // the marks of x are the handles
    while (handles.childElementCount > m) handles.lastChild.remove();
    while (handles.childElementCount < m) handle(handles.childElementCount);
    for (const [i, node] of [...handles.children].entries()) {
      const [v, v_hat, out] = values.map((line) => line[i]);
      set(node, {
        transform: `translate(${across(0, v)},${AXIS})`, stroke: i === chosen ? "var(--ink)" : "var(--paper)",
        "aria-label": `value ${i + 1} of ${m}`, "aria-valuemax": Math.max(10, v), "aria-valuenow": v,
        "aria-valuetext": `x ${text(v)}, x_hat ${text(v_hat)}, y ${text(out)}`,
      });
    }
    for (const show of settings) show();
    for (const node of longer) node.ariaDisabled = m >= MOST; // disabled, they would lose the focus
    shorter.ariaDisabled = m <= FEWEST;
  }

  function onChange() {
    batch = snapshot();
    draw(Math.min(chosen, batch.x.length - 1));
    const { mean, variance, x_hat, bound } = batchnorm(batch), m = batch.x.length;
    const largest = Math.max(...x_hat.map(Math.abs));
    said.textContent = `${m} values, mean ${text(mean)}, deviation ${text(Math.sqrt(variance))}. `
      + `The largest |x_hat| is ${text(largest)}; no batch of ${m} gets above ${text(bound)}.`;
  }
  const watcher = new ResizeObserver(() => draw());
  for (const key of KEYS) model.on(`change:${key}`, onChange);
  watcher.observe(el);
  onChange();
  return () => {
    watcher.disconnect();
    for (const key of KEYS) model.off(`change:${key}`, onChange);
  };
}

export default { render };
