// Masks from parts and by hand: what they cost, and how far a stack of layers sees through them.
import { blockMask, both, causalMask, either, globalMask, layersNeeded, openMask, paddingMask, randomMask, stridedMask, stroke, windowMask } from "./masks.js";
import { button, copyAsPython, element, explorer, follow, format, paint, put, resultGrid, slider, toggle, weightFill } from "./kit.js";

const PARTS = ["window", "strided", "global", "block", "random"];
const range = (n) => Array.from({ length: n }, (_, k) => k);

// The mask: parts are united, then cut by causal and padding, then painted over.
function paintedMask(model) {
  const n = model.get("n");
  const get = (name) => model.get(name);
  const make = {
    window: () => windowMask(n, get("half_width"), get("half_width")),
    strided: () => stridedMask(n, get("stride")),
    global: () => globalMask(n, range(Math.min(get("n_global"), n))),
    block: () => blockMask(n, get("block_size")),
    random: () => randomMask(n, get("orders")[get("seed")][n], get("n_random")),
  };
  const parts = PARTS.filter((part) => get("parts").includes(part)).map((part) => make[part]());
  let mask = parts.length ? parts.reduce(either) : openMask(n);
  if (get("causal")) mask = both(mask, causalMask(n));
  if (get("padded") > 0) mask = both(mask, paddingMask(n, Math.max(n - get("padded"), 0)));
  for (const [i, j, open] of get("painted")) if (i < n && j < n) mask[i][j] = open;
  return mask;
}

// The same in Python, without the painting
function expression(model) {
  const n = model.get("n");
  const get = (name) => model.get(name);
  const python = {
    window: () => `masks.sliding_window(${n}, before=${get("half_width")}, after=${get("half_width")})`,
    strided: () => `masks.strided(${n}, stride=${get("stride")})`,
    global: () => `masks.global_tokens(${n}, tokens=[${range(Math.min(get("n_global"), n)).join(", ")}])`,
    block: () => `masks.block(${n}, size=${get("block_size")})`,
    random: () => `masks.random_block(${n}, size=1, count=${get("n_random")}, seed=${get("seed")})`,
  };
  const parts = PARTS.filter((part) => get("parts").includes(part)).map((part) => python[part]());
  const cuts = [];
  if (get("causal")) cuts.push(`masks.causal(${n})`);
  if (get("padded") > 0) cuts.push(`masks.padding(torch.tensor([${Math.max(n - get("padded"), 0)}]), ${n})[0, 0]`);
  const united = parts.length > 1 && cuts.length ? `(${parts.join(" | ")})` : parts.join(" | ");
  if (parts.length) cuts.push(united);
  // padding alone has one row for all queries
  if (!get("causal") && !parts.length) cuts.push(`torch.ones(${n}, ${n}, dtype=torch.bool)`);
  return cuts.join(" & ");
}

function look(model) {
  const mask = paintedMask(model);
  const needed = layersNeeded(mask);
  const open = mask.flat().filter(Boolean).length;
  const reach = needed.map((row) => row.map((steps) => steps <= model.get("layers")));
  const blind = range(mask.length).filter((i) => !mask[i].includes(true));
  return { mask, needed, reach, open, blind };
}

// A pair that is closed has the color of the layers that its news takes.
function stepFill(open, steps) {
  return weightFill(open ? 0.72 : 0.3 - 0.035 * steps);
}

function layerWord(L) {
  return `${L} layer${L > 1 ? "s" : ""}`;
}

// 0, 1, 2, 5 → "0–2, 5"
function spans(numbers) {
  const runs = [];
  for (const x of numbers) if (runs.length && runs.at(-1)[1] === x - 1) runs.at(-1)[1] = x; else runs.push([x, x]);
  return runs.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`)).join(", ") || "nothing";
}

function render({ model, el }) {
  let now = look(model);
  const { root, say } = explorer(el, { name: "mask-painter", label: "Mask painter" });
  const change = (name) => (x) => put(model, { [name]: x });

  const number = (label, name, minimum, maximum) => slider({ label, minimum, maximum, step: 1, value: model.get(name), onInput: change(name) });
  const switches = {};
  const sliders = {
    n: number("Tokens", "n", 4, 16),
    layers: number("Layers", "layers", 1, 6),
    padded: number("Padding at the end", "padded", 0, 6),
    half_width: number("to each side", "half_width", 0, 6),
    stride: number("every", "stride", 2, 6),
    n_global: number("first tokens", "n_global", 1, 4),
    block_size: number("of size", "block_size", 2, 8),
    n_random: number("keys a row", "n_random", 1, 6),
    seed: number("seed", "seed", 0, 7),
  };
  const part = (name, label, knob, ...more) => {
    switches[name] = toggle({
      label, value: model.get("parts").includes(name),
      onChange: (on) => put(model, { parts: PARTS.filter((one) => (one === name ? on : model.get("parts").includes(one))) }),
    });
    sliders[knob].input.setAttribute("aria-label", `${label}: ${sliders[knob].node.firstChild.textContent}`);
    return element("div", { class: "attn-mask-part" }, switches[name].node, sliders[knob].node, ...more);
  };
  const causal = toggle({ label: "Causal", value: model.get("causal"), onChange: change("causal") });

  const formula = element("code");
  const summary = element("p", { class: "attn-mask-summary" });
  const bar = element("div", { class: "attn-mask-bar" }, element("div"));
  const reading = element("p", { class: "attn-reading" });
  const board = element("div", { class: "attn-mask-board" });
  const blindNote = element("p", { class: "attn-mask-blind-note" });
  const mark = (text, fill, says) => {
    const swatch = element("span", { class: "attn-fill attn-mask-swatch", "aria-hidden": "true", text });
    if (fill) paint(swatch, fill);
    else swatch.classList.add("attn-mask-painted");
    return element("span", {}, swatch, says);
  };
  const marks = {
    open: mark("1", stepFill(true, 1), "open"),
    later: mark("2", stepFill(false, 2), "closed; heard of after 2, 3, … layers"),
    own: mark("0", stepFill(false, 0), "closed; a query keeps its own input"),
    painted: mark("", null, "painted"),
  };
  const clear = button({ label: "Clear the painting", onClick: () => put(model, { painted: [] }) });

  let pointed = null;
  const read = () => {
    if (pointed === null) {
      reading.textContent = "Press or drag over pairs to open and close them. Point at a pair, or move to it with Tab and the arrow keys (Space paints), to see what its row sees.";
      return;
    }
    const [i] = pointed;
    const direct = range(model.get("n")).filter((j) => now.mask[i][j]);
    const far = range(model.get("n")).filter((j) => now.reach[i][j]);
    const after = `After ${layerWord(model.get("layers"))}`;
    reading.textContent = direct.length === 0
      ? `Query ${i} may attend to nothing: all its weights are 0. ${after} it holds only its own input.`
      : `Query ${i} sees the keys ${spans(direct)}. ${after} its output can depend on ${spans(far)}: ${far.length} of ${model.get("n")} inputs.`;
  };

  // ---- The grid
  const counts = [];
  const heading = element("span");
  const paintPairs = (pairs, open) => {
    const changed = pairs.filter(([i, j]) => now.mask[i][j] !== open);
    if (changed.length === 0) return;
    const kept = model.get("painted").filter(([a, b]) => !changed.some(([i, j]) => a === i && b === j));
    put(model, { painted: [...kept, ...changed.map(([i, j]) => [i, j, open])] });
  };
  // What belongs to whole rows, and which pairs are painted
  const drawRows = () => {
    const painted = new Set(model.get("painted").map(([i, j]) => `${i} ${j}`));
    heading.textContent = `after ${model.get("layers")}`;
    grid.cells.forEach((row, i) => {
      const [direct, far] = [now.mask[i], now.reach[i]].map((one) => one.filter(Boolean).length);
      const text = `${direct} → ${far}`;
      if (counts[i].textContent !== text) {
        counts[i].textContent = text;
        counts[i].setAttribute("aria-label", `query ${i} sees ${direct} now, ${far} after ${layerWord(model.get("layers"))}`);
      }
      counts[i].parentElement.classList.toggle("attn-mask-blind", direct === 0);
      counts[i].parentElement.classList.toggle("attn-mask-at", pointed !== null && pointed[0] === i);
      row.forEach((cell, j) => cell.classList.toggle("attn-mask-painted", painted.has(`${i} ${j}`)));
    });
  };
  const point = (i, j) => {
    if (pointed !== null && counts[pointed[0]]) counts[pointed[0]].parentElement.classList.remove("attn-mask-at");
    pointed = [i, j];
    counts[i].parentElement.classList.add("attn-mask-at");
    read();
  };
  const names = (n) => range(n).map(String);
  const grid = resultGrid({
    label: "Mask: a row for each query, a column for each key", rows: 1, columns: 1, rowNames: names(1), columnNames: names(1),
    onPoint: point,
    show: (i, j) => {
      const open = now.mask[i][j];
      const steps = now.needed[i][j];
      const later = !open && steps <= model.get("layers");
      const label = open ? "open" : `closed${!later ? "" : steps === 0 ? ", its own input" : `, heard of after ${steps} layers`}`;
      return { text: open ? "1" : later ? `${steps}` : "", fill: open || later ? stepFill(open, steps) : null, label: `query ${i}, key ${j}: ${label}` };
    },
  });
  grid.node.classList.add("attn-mask-grid");
  grid.node.querySelector("tr").append(element("th", { scope: "col", role: "columnheader", class: "attn-mask-count" }, "now →", element("br"), heading));
  board.append(grid.node);
  const size = (n) => {
    if (counts.length === n) return;
    grid.resize(n, n, names(n), names(n));
    grid.node.firstChild.style.setProperty("grid-template-columns", `1.4rem repeat(${n}, minmax(0, 1fr)) 3rem`);
    grid.node.classList.toggle("attn-mask-many", n > 12);
    counts.length = Math.min(counts.length, n);
    for (let i = counts.length; i < n; i++) {
      counts.push(element("td", { role: "gridcell", class: "attn-mask-count" }));
      grid.cells[i][0].parentElement.append(counts[i]);
    }
    pointed = pointed && pointed.map((place) => Math.min(place, n - 1));
  };
  const pair = (event) => grid.placeOf(grid.node.getRootNode().elementFromPoint(event.clientX, event.clientY));
  let brush = null;
  let last = null;
  grid.node.addEventListener("pointerdown", (event) => {
    const hit = pair(event);
    if (!hit || event.button !== 0) return;
    brush = !now.mask[hit[0]][hit[1]];
    event.target.releasePointerCapture?.(event.pointerId);
    last = hit;
    paintPairs([hit], brush);
  });
  grid.node.addEventListener("pointermove", (event) => {
    if (event.buttons === 0) brush = null; // released outside of the grid
    const hit = brush === null ? null : pair(event);
    if (!hit) return;
    paintPairs(stroke(last ?? hit, hit), brush);
    last = hit;
    point(...hit);
  });
  for (const name of ["pointerup", "pointercancel"]) grid.node.addEventListener(name, () => { brush = null; });
  grid.node.addEventListener("pointerleave", () => { last = null; });
  grid.node.addEventListener("keydown", (event) => {
    const hit = grid.placeOf(event.target);
    if (!hit || (event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    paintPairs([hit], !now.mask[hit[0]][hit[1]]);
  });

  root.append(
    element("div", { class: "attn-row attn-mask-columns" },
      element("div", { class: "attn-mask-left" }, board, element("p", { class: "attn-mask-legend" }, ...Object.values(marks)), summary, bar, blindNote),
      element("div", { class: "attn-mask-controls" },
        sliders.n.node, sliders.layers.node,
        element("p", { class: "attn-mask-heading", text: "Open, together" }),
        part("window", "Window", "half_width"), part("strided", "Strided", "stride"), part("global", "Global", "n_global"),
        part("block", "Block", "block_size"), part("random", "Random", "n_random", sliders.seed.node),
        element("p", { class: "attn-mask-heading", text: "Then cut" }), causal.node, sliders.padded.node, clear.node)),
    element("p", { class: "attn-mask-formula" }, formula),
    reading,
    copyAsPython(() => call(model)).node,
  );

  return follow(model, ["n", "layers", "causal", "padded", "parts", "half_width", "stride", "n_global", "block_size", "n_random", "seed", "orders", "painted"], () => {
    now = look(model);
    const n = model.get("n");
    size(n);
    grid.draw();
    drawRows();
    for (const [name, one] of Object.entries(sliders)) one.set(model.get(name));
    for (const [name, one] of Object.entries(switches)) one.set(model.get("parts").includes(name));
    causal.set(model.get("causal"));
    sliders.seed.node.hidden = !model.get("parts").includes("random");
    clear.node.disabled = model.get("painted").length === 0;
    const share = now.open / n ** 2;
    const seen = now.reach.flat().filter(Boolean).length / n;
    summary.textContent = `${now.open} of ${n * n} pairs are open: ${format(100 * share, 1)}%. After ${layerWord(model.get("layers"))} a query has seen ${format(seen, 1)} of ${n} inputs on average.`;
    blindNote.hidden = now.blind.length === 0;
    blindNote.textContent = now.blind.length === 1
      ? `Query ${now.blind[0]} may attend to nothing: its weights are all 0.`
      : `Queries ${spans(now.blind)} may attend to nothing: their weights are all 0.`;
    marks.own.hidden = now.mask.every((row, i) => row[i]);
    marks.painted.hidden = model.get("painted").length === 0;
    bar.firstChild.style.setProperty("width", `${100 * share}%`);
    formula.textContent = expression(model) + (model.get("painted").length ? ", painted over" : "");
    read();
    say(`${summary.textContent} ${blindNote.hidden ? "" : blindNote.textContent}`);
  });
}

// The mask on the screen in Python
function call(model) {
  const lines = ["import torch", "", "from attnbook import masks", "", `mask = ${expression(model)}`];
  for (const [i, j, open] of model.get("painted")) if (i < model.get("n") && j < model.get("n")) lines.push(`mask[${i}, ${j}] = ${open ? "True" : "False"}`);
  lines.push(`share = mask.float().mean().item()`, `paths = mask | torch.eye(${model.get("n")}, dtype=torch.bool)  # a layer adds to its input`,
    `reach = torch.linalg.matrix_power(paths.double(), ${model.get("layers")}) > 0`);
  return `${lines.join("\n")}\n`;
}

export default { render };
