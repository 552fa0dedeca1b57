// What the gradient loses: of a batch of three values dy is an arrow in space. Backward, batch norm
// takes away its mean, then its part along x_hat. First the mathematics, then picture and page.

const mean = (a) => a.reduce((sum, value) => sum + value, 0) / a.length;
const length = (a) => Math.hypot(...a);
const times = (a, factor) => a.map((value) => value * factor);
const between = (a, b, part) => a.map((value, i) => value + part * (b[i] - value));

/** x_hat, and dx in steps: dy, minus its mean, minus its part along x_hat, times gamma / r. */
export function backward({ x, dy, gamma, eps }) {
  const mu = x[0] + mean(x.map((value) => value - x[0])); // exact where the three are equal
  const inv_std = 1 / Math.sqrt(mean(x.map((value) => (value - mu) ** 2)) + eps);
  const x_hat = x.map((value) => (value - mu) * inv_std);
  const centred = dy.map((value) => value - mean(dy));
  const along = mean(dy.map((value, i) => value * x_hat[i]));
  const left = centred.map((value, i) => value - x_hat[i] * along);
  return { x_hat, steps: [dy, centred, left, times(left, gamma * inv_std)] };
}

/** Where a vector stands on the page, [right, down]. At tilt 0 (1, 1, 1) points up, at 90 to us. */
export function projected([a, b, c], turn, tilt) {
  const [east, north] = [(a - b) / 2 ** 0.5, (a + b - 2 * c) / 6 ** 0.5];
  const [t, s] = [(turn * Math.PI) / 180, (tilt * Math.PI) / 180];
  const away = east * Math.sin(t) + north * Math.cos(t);
  const up = ((a + b + c) / 3 ** 0.5) * Math.cos(s) + away * Math.sin(s);
  return [east * Math.cos(t) - north * Math.sin(t), -up];
}

const ROWS = ["x", "x̂", "dy", "− its mean", "− along x̂", "× γ / r: dx"];
const TIPS = ["dy", "on the plane", "what is left", "dx"];
const SAID = [
  "dy, as it comes from the layers above.",
  "Minus its mean: straight along (1, 1, 1), onto the plane of the numbers that add up to 0.",
  "Minus its part along x̂: in the plane, onto the line at right angles to x̂. Of three " +
    "directions two are gone. What is left points along this one line, whatever dy was.",
  "Times γ / r, where r = √(σ² + ε). The length changes, the line does not. This is dx.",
  "ε is large beside σ²: x̂ is short, and some of the part along x̂ stays.", // of step 2, too
  "The three x are equal: x̂ is 0, nothing is taken away, and one direction is gone, not two.",
];
const KEYS = ["x", "dy", "gamma", "eps", "step", "turn", "tilt"];
const [WIDTH, HEIGHT] = [360, 310];
const digits = (value) => value.toFixed(2).replace("-0.00", "0.00").replace("-", "−");

// The picture, as SVG; `at` gives the place of a vector. Into these texts go numbers only.
const line = (at, from, to, style) => (
  `<path d="M${at(from)}L${at(to)}" style="fill: none; stroke: var(--ink); ${style}"/>`);

function word(at, vector, text, look = "") {
  const [x, y] = at(vector);
  const [shift, anchor] = x < WIDTH / 2 ? [-6, "end"] : [6, "start"];
  return `<text x="${x + shift}" y="${y + (y < HEIGHT / 2 ? -5 : 13)}" text-anchor="${anchor}"
    class="${look}">${text}</text>`;
}

function arrow(at, vector, colour, width, text) {
  const [[x0, y0], [x, y]] = [at([0, 0, 0]), at(vector)];
  const size = Math.hypot(x - x0, y - y0) || 1;
  const head = Math.min(4 + 2 * width, size) / size;
  const [u, v] = [head * (x - x0), head * (y - y0)];
  const tip = `M${x},${y}l${-u - v / 2},${u / 2 - v}l${v},${-u}Z`;
  return `<path d="M${x0},${y0}L${x - u},${y - v}" stroke="${colour}" stroke-width="${width}"/>
    <path d="${tip}" fill="${colour}"/>${word(at, vector, text)}`;
}

function plane(at, radius) {
  const rim = Array.from({ length: 60 }, (_, i) => {
    const angle = (i * Math.PI) / 30;
    const [e, n] = [Math.cos(angle) / 2 ** 0.5, Math.sin(angle) / 6 ** 0.5];
    return at(times([n + e, n - e, -2 * n], radius));
  });
  return `<path d="M${rim.join("L")}Z"
    style="fill: var(--grid); fill-opacity: 0.35; stroke: var(--quiet)"/>`;
}

function linesInPlane(at, [a, b, c], radius) {
  const unit = times([a, b, c], radius / length([a, b, c]));
  const left = times([b - c, c - a, a - b], radius / length([b - c, c - a, a - b]));
  return line(at, times(unit, -1), unit, "stroke: var(--c2); stroke-dasharray: 2 3") +
    line(at, times(left, -1), left, "stroke: var(--c1); stroke-dasharray: 8 4") +
    arrow(at, [a, b, c], "var(--c2)", 2.5, "x̂");
}

function scene({ x_hat, steps }, step, tip, turn, tilt) {
  const radius = 1.15 * Math.max(3 ** 0.5, ...steps.slice(1, Math.max(step, 1) + 1).map(length));
  const scale = (HEIGHT / 2 - 16) / Math.max(radius, length(steps[0]));
  const at = (vector) => projected(vector, turn, tilt)
    .map((value, i) => [WIDTH, HEIGHT][i] / 2 + scale * value);
  const ones = times([1, 1, 1], Math.max(radius, length(steps[0])) / 3 ** 0.5);
  const passed = steps.slice(0, step);
  return [plane(at, radius), word(at, ones, "(1, 1, 1)", "quiet"),
    line(at, times(ones, -1), ones, "stroke: var(--quiet); stroke-dasharray: 1 4"),
    length(x_hat) > 0 ? linesInPlane(at, x_hat, radius) : "",
    ...passed.map((from, i) => (
      line(at, from, i + 1 < step ? steps[i + 1] : tip, "stroke-dasharray: 4 3"))),
    ...passed.map((vector, i) => arrow(at, vector, "var(--quiet)", 1.5, i ? "" : "dy")),
    arrow(at, tip, step > 1 ? "var(--c1)" : "var(--c0)", 4, TIPS[step])].join(""); // as in 03
}

const field = (name, row) => `<input type="number" step="0.5" aria-label="${name}, row ${row}"
  data-name="${name}" data-row="${row - 1}">`;
const PAGE = `<div class="fitted" style="max-width: 27rem"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}"
  role="img" style="touch-action: pan-y; cursor: grab"></svg></div>
  <div class="controls"><button>Step back</button><button>Next step</button>
  <label>turn <input type="range" name="turn" min="-180" max="180"></label>
  <label>tilt <input type="range" name="tilt" min="0" max="90"></label></div>
  <p aria-live="polite" style="min-height: 4.2em"></p><div class="fitted"><table class="numbers">
  <tr><td></td><th>row 1</th><th>row 2</th><th>row 3</th><th>length</th></tr>
  ${ROWS.map((name) => `<tr><th scope="row">${name}</th>
    ${[1, 2, 3].map((row) => `<td>${"x dy".includes(name) ? field(name, row) : ""}</td>`).join("")}
    <td></td></tr>`).join("")}</table></div>`;

function render({ model, el }) {
  el.classList.add("bnlab-explore");
  el.onkeydown = (e) => { if (/^(Arrow|Enter$| $)/.test(e.key)) e.stopPropagation(); }; // JupyterLab
  el.innerHTML = PAGE;
  const all = (selector) => [...el.querySelectorAll(selector)];
  const [[picture], [back, next], [said]] = [all("svg"), all("button"), all("[aria-live]")];
  const [angles, rows] = [all("[type=range]"), all("tr").slice(1)];
  const state = () => Object.fromEntries(KEYS.map((key) => [key, model.get(key)]));
  function set(values) {
    Object.entries(values).forEach(([key, value]) => model.set(key, value));
    model.save_changes();
  }

  /** Draw the state, with some of it moved, the arrow on `part` of its way from the step before. */
  function draw(moved = {}, part = 1) {
    const { step, turn, tilt, ...batch } = { ...state(), ...moved };
    const found = backward(batch);
    const [from, to] = [found.steps[step - 1], found.steps[step]];
    const tip = part < 1 ? between(from, to, part) : to;
    picture.setAttribute("aria-label", `Arrows: x̂ and ${TIPS.slice(0, step + 1).join(", ")}`);
    picture.innerHTML = scene(found, step, tip, turn, tilt);
  }
  function update() {
    const now = state();
    const { x_hat, steps } = backward(now), size = length(x_hat); // √3, but for ε
    [now.x, x_hat, ...steps].forEach((numbers, i) => {
      [...numbers, length(numbers)].forEach((number, k) => {
        const cell = rows[i].cells[k + 1];
        if (cell.firstElementChild) cell.firstElementChild.value = number;
        else cell.textContent = i < now.step + 3 ? digits(number) : "";
      });
    });
    angles.forEach((angle) => { angle.value = now[angle.name]; });
    const words = SAID[now.step !== 2 || size > 1.7 ? now.step : size > 0 ? 4 : 5];
    said.textContent = `${words} Its length is ${digits(length(steps[now.step]))}.`;
    back.ariaDisabled = now.step === 0; // not disabled: it would lose the focus
    next.textContent = now.step === 3 ? "Start again" : "Next step";
    draw();
  }
  all("[type=number]").forEach((number) => number.addEventListener("change", () => {
    const { name, row } = number.dataset;
    if (number.value === "") update(); // nothing that is a number
    else set({ [name]: model.get(name).with(row, number.valueAsNumber) });
  }));
  angles.forEach((angle) => {
    angle.addEventListener("input", () => draw({ [angle.name]: angle.valueAsNumber }));
    angle.addEventListener("change", () => set({ [angle.name]: angle.valueAsNumber }));
  });

  let [frame, held] = [0, null];
  function move(start) {
    const part = Math.min(1, (performance.now() - start) / 500);
    draw({}, part);
    if (part < 1) frame = requestAnimationFrame(() => move(start));
  }
  back.addEventListener("click", () => {
    cancelAnimationFrame(frame);
    set({ step: Math.max(0, model.get("step") - 1) });
  });
  next.addEventListener("click", () => {
    cancelAnimationFrame(frame);
    set({ step: (model.get("step") + 1) % 4 });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (model.get("step") > 0 && !still) move(performance.now());
  });
  picture.addEventListener("pointerdown", (event) => {
    cancelAnimationFrame(frame);
    picture.setPointerCapture(event.pointerId);
    held = { event, ...state() };
  });
  picture.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (!held) return;
    const turn = ((held.turn + (clientX - held.event.clientX) / 2 + 540) % 360) - 180;
    const tilt = Math.min(90, Math.max(0, held.tilt + (clientY - held.event.clientY) / 2));
    draw((held.to = { turn, tilt }));
  });
  picture.addEventListener("pointercancel", () => { held = null; draw(); }); // the page scrolls
  picture.addEventListener("lostpointercapture", () => { set(held?.to ?? {}); held = null; });

  KEYS.forEach((key) => model.on(`change:${key}`, update));
  update();
  return () => {
    cancelAnimationFrame(frame);
    KEYS.forEach((key) => model.off(`change:${key}`, update));
  };
}

export default { render };
