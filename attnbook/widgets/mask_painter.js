// Masks from parts and by hand: what they cost, and how far a stack of layers sees through them.
import { blockMask, both, causalMask, either, globalMask, layersNeeded, openMask, paddingMask, randomMask, stridedMask, windowMask } from "./masks.js";
import { button, copyAsPython, element, explorer, follow, format, put, resultGrid, slider, toggle, weightFill } from "./kit.js";

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
    random: () => randomMask(n, get("orders")[n], get("n_random")),
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
  return { mask, needed, reach, open };
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
  };
  const part = (name, label, knob) => {
    switches[name] = toggle({
      label, value: model.get("parts").includes(name),
      onChange: (on) => put(model, { parts: PARTS.filter((one) => (one === name ? on : model.get("parts").includes(one))) }),
    });
    sliders[knob].input.setAttribute("aria-label", `${label}: ${sliders[knob].node.firstChild.textContent}`);
    return element("div", { class: "attn-mask-part" }, switches[name].node, sliders[knob].node);
  };
  const causal = toggle({ label: "Causal", value: model.get("causal"), onChange: change("causal") });

  const formula = element("code");
  const summary = element("p", { class: "attn-mask-summary" });
  const bar = element("div", { class: "attn-mask-bar" }, element("div"));
  const reading = element("p", { class: "attn-reading" });
  const board = element("div", { class: "attn-mask-board" });
  const clear = button({ label: "Clear the painting", onClick: () => put(model, { painted: [] }) });

  let pointed = null;
  const read = () => {
    if (pointed === null) {
      reading.textContent = "Press or drag over pairs to open and close them. Point at a pair, or move to it with Tab and the arrow keys (Space paints), to see what its row sees.";
      return;
    }
    const i = Math.min(pointed[0], model.get("n") - 1);
    const direct = range(model.get("n")).filter((j) => now.mask[i][j]);
    const far = range(model.get("n")).filter((j) => now.reach[i][j]);
    const L = model.get("layers");
    reading.textContent = direct.length === 0
      ? `Query ${i} may attend to nothing: all its weights are 0. After ${L} layer${L > 1 ? "s" : ""} it holds only its own input.`
      : `Query ${i} sees the keys ${spans(direct)}. After ${L} layer${L > 1 ? "s" : ""} its output can depend on ${spans(far)}: ${far.length} of ${model.get("n")} inputs.`;
  };

  // ---- The grid, made again only when the number of tokens changes
  let grid = null;
  const paintPair = (i, j, open) => {
    if (now.mask[i][j] === open) return;
    put(model, { painted: [...model.get("painted").filter(([a, b]) => a !== i || b !== j), [i, j, open]] });
  };
  const build = () => {
    const n = model.get("n");
    const names = range(n).map(String);
    grid = resultGrid({
      label: "Mask: a row for each query, a column for each key", rows: n, columns: n, rowNames: names, columnNames: names,
      onPoint: (i, j) => { pointed = [i, j]; read(); },
      show: (i, j) => {
        const open = now.mask[i][j];
        const steps = now.needed[i][j];
        const later = !open && steps <= model.get("layers");
        const label = open ? "open" : `closed${later ? `, reached after ${steps} layers` : ""}`;
        return { text: open ? "1" : later ? `${steps}` : "", fill: weightFill(open ? 0.72 : later ? 0.3 - 0.035 * steps : 0), label: `query ${i}, key ${j}: ${label}` };
      },
    });
    grid.node.classList.add("attn-mask-grid");
    grid.node.style.setProperty("--n", n);
    const at = new Map(grid.cells.flatMap((row, i) => row.map((cell, j) => [cell, [i, j]])));
    const pair = (event) => at.get(document.elementFromPoint(event.clientX, event.clientY)?.closest?.("td"));
    let brush = null;
    grid.node.addEventListener("pointerdown", (event) => {
      const hit = pair(event);
      if (!hit || event.button !== 0) return;
      brush = !now.mask[hit[0]][hit[1]];
      event.target.releasePointerCapture?.(event.pointerId);
      paintPair(...hit, brush);
    });
    grid.node.addEventListener("pointermove", (event) => {
      const hit = brush === null ? null : pair(event);
      if (hit) { paintPair(...hit, brush); pointed = hit; read(); }
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) grid.node.addEventListener(name, () => { brush = null; });
    grid.node.addEventListener("keydown", (event) => {
      const hit = at.get(event.target);
      if (!hit || (event.key !== " " && event.key !== "Enter")) return;
      event.preventDefault();
      paintPair(...hit, !now.mask[hit[0]][hit[1]]);
    });
    board.replaceChildren(grid.node);
  };
  build();

  root.append(
    element("div", { class: "attn-row attn-mask-columns" },
      element("div", { class: "attn-mask-left" }, board, summary, bar),
      element("div", { class: "attn-mask-controls" },
        sliders.n.node, sliders.layers.node,
        element("p", { class: "attn-mask-heading", text: "Open, together" }),
        part("window", "Window", "half_width"), part("strided", "Strided", "stride"), part("global", "Global", "n_global"),
        part("block", "Block", "block_size"), part("random", "Random", "n_random"),
        element("p", { class: "attn-mask-heading", text: "Then cut" }), causal.node, sliders.padded.node, clear.node)),
    element("p", { class: "attn-mask-formula" }, formula),
    reading,
    copyAsPython(() => call(model)).node,
  );

  return follow(model, ["n", "layers", "causal", "padded", "parts", "half_width", "stride", "n_global", "block_size", "n_random", "painted"], () => {
    now = look(model);
    const n = model.get("n");
    if (grid.cells.length !== n) build();
    else grid.draw();
    for (const [name, one] of Object.entries(sliders)) one.set(model.get(name));
    for (const [name, one] of Object.entries(switches)) one.set(model.get("parts").includes(name));
    causal.set(model.get("causal"));
    clear.node.disabled = model.get("painted").length === 0;
    const share = now.open / n ** 2;
    const seen = now.reach.flat().filter(Boolean).length / n;
    const blind = now.mask.filter((row) => !row.includes(true)).length;
    const L = model.get("layers");
    summary.textContent = `${now.open} of ${n * n} pairs are open: ${format(100 * share, 1)}%. After ${L} layer${L > 1 ? "s" : ""} a query has seen ${format(seen, 1)} of ${n} inputs on average.`
      + (blind ? ` ${blind} ${blind > 1 ? "queries" : "query"} may attend to nothing.` : "");
    bar.firstChild.style.setProperty("width", `${100 * share}%`);
    formula.textContent = expression(model) + (model.get("painted").length ? ", painted over" : "");
    read();
    say(summary.textContent);
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
