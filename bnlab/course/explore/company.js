// Company: one image goes through a network in training mode, each time in another batch. What is
// drawn is its logit of three. First the mathematics, then the pictures, then the page.

/** Numbers from 0 to 1, the same ones everywhere (T. Ettinger, 2017). */
export function mulberry32(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Draw number k of a batch of m: image 0, our doubtful three, and m - 1 of the n others. */
export function company({ n, m, k }) {
  const [random, rows] = [mulberry32(65536 * m + k), new Set([0])];
  while (rows.size < m) rows.add(1 + Math.floor(n * random()));
  return [...rows];
}

const ink = (image) => Array.from(image, (l) => (l.charCodeAt(0) - 65) / 16); // a letter a pixel

/** Logits of the first of these images, if all normalize together in training mode. */
export function logits({ hidden, V, bias, images }, rows) {
  let h = rows.map((row) => ink(images[row]));
  for (const { W, gamma, beta } of hidden) {
    const columns = W.map((w, j) => batchnorm(h.map((x) => dot(w, x)), gamma[j], beta[j]));
    h = h.map((_, i) => columns.map((column) => Math.tanh(column[i])));
  }
  return V.map((v, j) => dot(v, h[0]) + bias[j]);
}

function dot(w, x) { // weights travel as whole multiples of 1 / 4096
  let sum = 0;
  for (let i = 0; i < w.length; i++) sum += w[i] * x[i];
  return sum / 4096;
}

function batchnorm(z, gamma, beta) { // of one feature
  const mean = z.reduce((sum, v) => sum + v, 0) / z.length;
  const variance = z.reduce((sum, v) => sum + (v - mean) ** 2, 0) / z.length;
  return z.map((v) => (gamma * (v - mean)) / Math.sqrt(variance + 1e-5) + beta);
}

/** Mean and standard deviation of the logits of a cloud, a list of [logit, answer]. */
export function scatter(cloud) {
  const mean = cloud.reduce((sum, [logit]) => sum + logit, 0) / cloud.length;
  return [mean, Math.hypot(...cloud.map(([logit]) => logit - mean)) / cloud.length ** 0.5];
}

// The pictures, as SVG. Into these texts go numbers only.
const SIZES = [4, 8, 16, 32, 64, 128];
const [WIDTH, LEFT, ROW] = [360, 38, 32]; // px
const DASHED = "stroke-dasharray: 6 4";
const minus = (text) => `${text}`.replace("-", "−");
const word = (x, y, text, anchor = "middle") => (
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`);
const line = (d, style = "") => (
  `<path d="${d}" style="fill: none; stroke: var(--ink); stroke-linecap: round; ${style}"/>`);

/** Clouds, [m, ghost, cloud] each: a row for each number of images that normalize together. */
function cloudPicture(clouds, m, ghost, settled) {
  const x = (logit) => LEFT + (Math.min(22, Math.max(0, logit + 10)) / 22) * (WIDTH - LEFT - 10);
  const y = (size) => ROW * (5.5 - SIZES.indexOf(size)); // as in notebook 07, 4 at the foot
  const drawn = clouds.map(([whole, size, cloud]) => {
    const [colour, shift] = whole === size ? ["var(--c0)", -13] : ["var(--c2)", 2];
    const places = cloud.map(([v], k) => [x(v), y(size) + shift + 11 * ((0.618 * k) % 1)]);
    const marks = (three, mark) => places.filter((_, k) => (cloud[k][1] === 3) === three)
      .map((place) => `M${place}${mark}`).join("");
    const ring = `M${places.at(-1)}m-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0`; // the last one
    return line(marks(true, "h0"), `stroke: ${colour}; stroke-width: 4`) +
      line(marks(false, "m-2,-2l4,4m-4,0l4,-4"), `stroke: ${colour}`) +
      (whole === m && size === ghost ? line(ring) : "");
  });
  const band = `stroke: var(--grid); stroke-width: ${ROW}; opacity: 0.4; stroke-linecap: butt`;
  const evaluation = `stroke: var(--c1); stroke-width: 2; ${DASHED}`; // orange, as in the notebook
  return [line(`M${LEFT},${y(ghost)}H${WIDTH}`, band), line(`M${x(settled)},0V192`, evaluation),
    ...SIZES.map((size) => word(LEFT - 6, y(size) + 4, size, "end")),
    ...[-8, -4, 0, 4, 8, 12].map((v) => word(x(v), 206, minus(v))), ...drawn].join("");
}

/** Scatter against the number of images that normalize together, both logarithmic. */
function scatterPicture(clouds) {
  const x = (size) => LEFT + 14 + (Math.log2(size) - 2) * 57;
  const y = (deviation) => 80 - Math.log2(deviation) * 32;
  const points = clouds.filter(([, , cloud]) => cloud.length >= 10)
    .map(([m, size, cloud]) => [m === size, size, scatter(cloud)[1]]);
  const logs = points.map(([, size, deviation]) => Math.log2(deviation * size ** 0.5));
  const factor = 2 ** (logs.reduce((sum, log) => sum + log, 0) / logs.length); // of all points
  const law = `M${x(4)},${y(factor / 2)}L${x(128)},${y(factor / 128 ** 0.5)}`;
  return [line(`M${LEFT},0V136H${WIDTH}`), ...SIZES.map((size) => word(x(size), 152, size)),
    ...[0.5, 1, 2, 4].map((value) => word(LEFT - 5, y(value) + 4, value, "end")),
    points.length > 0 ? line(law, DASHED) + word(x(32), y(factor / 3.5), "1/√m") : "",
    ...points.map(([whole, size, deviation]) => line(
      `M${x(size)},${y(deviation)}${whole ? "h0" : "m0,-7l7,7l-7,7l-7,-7z"}`,
      `stroke: var(${whole ? "--c0" : "--c2"}); stroke-width: ${whole ? 10 : 2}`))].join("");
}

/** The company, 16 in a row: a square for each pixel, as large as its ink. */
function companyPicture(images, rows, ghost) {
  const squares = rows.map((row, i) => ink(images[row]).reduce((path, pixel, p) => {
    const [x, y] = [22 * (i % 16) + 5 + 2.5 * (p % 8), 22 * (i >> 4) + 4 + 2.5 * (p >> 3)];
    const side = 2.5 * Math.sqrt(pixel);
    return pixel > 0 ? `${path}M${x},${y}h${side}v${side}h${-side}z` : path;
  }, ""));
  return line(squares.slice(0, ghost).join(""), "fill: var(--ink); stroke: none") +
    line(squares.slice(ghost).join(""), "fill: var(--quiet); stroke: none; opacity: 0.4") +
    line("M2,1h24v24h-24z", "stroke: var(--c0); stroke-width: 2");
}

const PICTURES = [ // height and caption
  [212, "Logit of three, by how many normalize together. ●&nbsp;three, ×&nbsp;other, ○&nbsp;last, dashed: evaluation"],
  [158, "Scatter of the logit, both scales logarithmic. ●&nbsp;whole batches, ◇&nbsp;ghosts"],
  [182, "The last company. The framed three is our image"]];
const PAGE = `<div class="controls">
  <label>batch size m <input type="range" min="2" max="7"><output></output></label>
  <label>in ghosts of <input type="range" min="2" max="7"><output></output></label></div>
  <div class="controls"><button>Draw one company</button><button>Draw 100</button><button>Forget all</button></div>
  <p aria-live="polite"></p><div style="display: flex; flex-wrap: wrap; gap: 1rem">
  ${PICTURES.map(([height, caption]) => `<div class="fitted" style="flex: 1 1 320px; max-width: 420px">
    <p>${caption}</p><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${caption}"></svg>
    </div>`).join("")}</div>`;

function render({ model, el }) {
  el.classList.add("bnlab-explore");
  el.onkeydown = (e) => { if (/^(Arrow|Enter$| $)/.test(e.key)) e.stopPropagation(); }; // JupyterLab
  el.innerHTML = PAGE;
  const all = (tag) => [...el.querySelectorAll(tag)];
  const [sizes, [once, hundred, none], pictures, [said]] = ["input", "button", "svg", "p"].map(all);
  const net = Object.fromEntries(["hidden", "V", "bias", "images"].map((k) => [k, model.get(k)]));
  let [clouds, frame] = [{}, 0]; // while it draws, these are ahead of the model's
  const now = () => {
    const [m, ghost] = [model.get("m"), model.get("ghost")];
    return { m, ghost, cloud: clouds[`${m}/${ghost}`] ?? [], n: net.images.length - 1 };
  };

  function draw() {
    const { m, ghost, cloud, n } = now();
    const list = Object.entries(clouds).map(([key, some]) => [...key.split("/").map(Number), some]);
    pictures[0].innerHTML = cloudPicture(list, m, ghost, model.get("settled"));
    pictures[1].innerHTML = scatterPicture(list);
    const last = cloud.length > 0 ? company({ n, m, k: cloud.length - 1 }) : [0];
    pictures[2].innerHTML = companyPicture(net.images, last, ghost);
  }
  function update() {
    clouds = model.get("clouds");
    const { m, ghost, cloud } = now();
    sizes[1].max = Math.log2(m);
    sizes.forEach((input, i) => {
      input.value = Math.log2([m, ghost][i]);
      input.setAttribute("aria-valuetext", `${[m, ghost][i]} images`);
      input.nextSibling.value = [m, ghost][i];
    });
    const [mean, deviation] = scatter(cloud).map((value) => minus(value.toFixed(1)));
    const others = cloud.filter(([, answer]) => answer !== 3).length / cloud.length;
    said.textContent = `Batches of ${m}${ghost < m ? ` in ghosts of ${ghost}` : ""}: ` + (
      ["none drawn yet.", `1 drawn, the logit is ${mean}.`][cloud.length] ??
      `${cloud.length} drawn, the logit scatters by ${deviation} about ${mean}, another answer ` +
      `than three in ${Math.round(100 * others)}%.`);
    draw();
  }
  function one() {
    const { m, ghost, cloud, n } = now();
    const found = logits(net, company({ n, m, k: cloud.length }).slice(0, ghost));
    clouds = { ...clouds, [`${m}/${ghost}`]: [...cloud, [found[3], found.indexOf(Math.max(...found))]] };
  }
  function many(left) {
    for (const end = performance.now() + 12; left > 0 && performance.now() < end; left--) one();
    if (left === 0) return stop();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) draw();
    hundred.textContent = "Stop";
    frame = requestAnimationFrame(() => many(left));
  }
  function stop() {
    cancelAnimationFrame(frame);
    [frame, hundred.textContent] = [0, "Draw 100"];
    model.set("clouds", clouds);
    model.save_changes();
  }

  sizes.forEach((input, i) => input.addEventListener("input", () => {
    const size = 2 ** input.value;
    stop();
    if (i === 0) model.set("m", size); // in one ghost again
    model.set("ghost", size);
    model.save_changes();
  }));
  once.addEventListener("click", () => { one(); stop(); });
  hundred.addEventListener("click", () => (frame ? stop() : many(100)));
  none.addEventListener("click", () => { clouds = {}; stop(); });
  ["m", "ghost", "clouds"].forEach((name) => model.on(`change:${name}`, update));
  update();
  return () => {
    cancelAnimationFrame(frame);
    ["m", "ghost", "clouds"].forEach((name) => model.off(`change:${name}`, update));
  };
}

export default { render };
