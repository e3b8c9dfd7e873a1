// What a layer costs in several forms: counted for any size, and timed for some.
import { COST_FORMS, layerMemory, layerOperations, measuredRatio } from "./cost_model.js";
import { copyAsPython, element, explorer, follow, format, freshId, put, resultGrid, shape, slider } from "./kit.js";

const FORM_NAMES = { full: "full, weights stored", fused: "full, fused kernel", window: "window", linear: "linear", recurrent: "recurrent (GRU)" };
const SHORT = { full: "full", fused: "fused", window: "window", linear: "linear", recurrent: "recurrent" };
const sum = (parts) => Object.values(parts).reduce((a, b) => a + b, 0);

function look(model) {
  const [n, d, h, w] = ["n", "d", "h", "w"].map((name) => model.get(name));
  const { lengths, ratios } = model.get("measured");
  const rows = COST_FORMS.map((form) => {
    const operations = layerOperations(form, n, d, h, w);
    const memory = layerMemory(form, n, d, h, w);
    const ratio = form === "fused" ? measuredRatio(lengths, lengths.map(() => 1), n) : measuredRatio(lengths, ratios[form], n);
    return { form, operations, memory, total: sum(operations), kept: sum(memory), ratio };
  });
  const least = (name) => rows.filter((row) => row[name] !== null).reduce((a, b) => (a === null || b[name] < a[name] ? b : a), null);
  return { rows, cheapest: least("total").form, smallest: least("kept").form, fastest: least("ratio")?.form ?? null };
}

// 1234567 → "1.23 M"
function large(x, unit = "") {
  const step = Math.min(Math.max(Math.floor(Math.log10(Math.max(x, 1)) / 3), 0), 5);
  const scaled = x / 1000 ** step;
  return `${scaled >= 100 || step === 0 ? Math.round(scaled) : scaled >= 10 ? scaled.toFixed(1) : scaled.toFixed(2)} ${["", "k", "M", "G", "T", "P"][step]}${unit}`.trim();
}

function render({ model, el }) {
  let now = look(model);
  const { root, say } = explorer(el, { name: "cost", label: "What a layer costs" });
  const power = (label, name, minimum, maximum) => slider({
    label, minimum, maximum, step: 1, value: Math.log2(model.get(name)), show: (x) => (2 ** x).toLocaleString("en"), onInput: (x) => {
      // More heads than components cannot be.
      if (name === "d" && 2 ** x < model.get("h")) put(model, { h: 2 ** x });
      if (name === "h" && 2 ** x > model.get("d")) return one.h.set(Math.log2(model.get("h")));
      return put(model, { [name]: 2 ** x });
    },
  });
  const one = { n: power("Length n", "n", 6, 16), d: power("Width d", "d", 6, 12), h: power("Heads h", "h", 0, 6), w: power("Window w", "w", 4, 12) };

  const columns = ["projections", "attention", "together", "kept (float32)"];
  let pointed = null;
  const reading = element("p", { class: "attn-reading" });
  const star = (yes) => (yes ? " ★" : "");
  const grid = resultGrid({
    label: "Counted costs", rows: now.rows.length, columns: 4, rowNames: COST_FORMS.map((form) => FORM_NAMES[form]), columnNames: columns,
    onPoint: (i, j) => { pointed = [i, j]; read(); },
    show: (i, j) => {
      const row = now.rows[i];
      return [
        { text: large(row.operations.projections) },
        { text: large(row.operations.attention) },
        { text: large(row.total) + star(row.form === now.cheapest) },
        { text: large(4 * row.kept, "B") + star(row.form === now.smallest) },
      ][j];
    },
  });
  const formulas = {
    full: ["4 n d²", "2 n² d", null, "4 n d vectors and h n² weights"], fused: ["4 n d²", "2 n² d", null, "4 n d vectors and 2 h n sums and largest scores"],
    window: ["4 n d²", "2 n min(w, n) d", null, "4 n d vectors and h n min(w, n) weights"], linear: ["4 n d²", "2 n d²/h + n d", null, "4 n d vectors and d²/h + d sums"],
    recurrent: ["6 n d²", "0", null, "n d outputs and a state of d"],
  };
  const read = () => {
    const n = model.get("n");
    const table = model.get("measured");
    const s = table.settings;
    const timed = now.fastest === null
      ? `No form was timed at ${n.toLocaleString("en")} tokens.`
      : `In the timed table (width ${s.d}, ${s.h} heads, window ${s.w}) the fastest at this length was ${FORM_NAMES[now.fastest]}.`;
    if (pointed === null) { reading.textContent = `Fewest multiply-adds: ${FORM_NAMES[now.cheapest]}. ${timed}`; return; }
    const [i, j] = pointed;
    const row = now.rows[i];
    const numbers = [row.operations.projections, row.operations.attention, row.total, row.kept];
    const what = j === 3 ? `keeps ${formulas[row.form][3]}: ${large(numbers[3])} numbers of 4 bytes` : `${columns[j]}: ${formulas[row.form][j] ?? "the two added"} = ${numbers[j].toLocaleString("en")} multiply-adds`;
    reading.textContent = `${FORM_NAMES[row.form]}, ${what}. ${timed}`;
  };

  // ---- Charts over the length, both axes in powers
  const [left, right, top, bottom] = [52, 470, 12, 190];
  const across = (n) => left + ((Math.log2(n) - 6) / 10) * (right - left);
  const text = (x, y, said, anchor = "middle") => shape("text", { x, y, text: said, "text-anchor": anchor });
  const chart = (title, low, high, ticks) => {
    const id = freshId("chart");
    const svg = shape("svg", { viewBox: "0 0 600 226", role: "img", "aria-labelledby": id });
    const up = (y) => bottom - ((Math.log10(y) - low) / (high - low)) * (bottom - top);
    for (const n of [64, 512, 4096, 32768]) svg.append(text(across(n), bottom + 16, n.toLocaleString("en")));
    for (const [y, said] of ticks) svg.append(shape("path", { d: `M${left} ${up(y)}H${right}`, class: "attn-cost-axis" }), text(left - 6, up(y) + 4, said, "end"));
    svg.append(text((left + right) / 2, bottom + 33, "length n"));
    const lines = Object.fromEntries(COST_FORMS.map((form) => [form, shape("path", { class: `attn-cost-line attn-cost-${form}` })]));
    const names = Object.fromEntries(COST_FORMS.map((form) => [form, text(right + 8, 0, SHORT[form], "start")]));
    const marker = shape("path", { class: "attn-cost-now" });
    svg.append(marker, ...Object.values(lines), ...Object.values(names));
    const node = element("div", {}, element("p", { class: "attn-cost-title", id, text: title }), element("div", { class: "attn-scroll" }, element("div", { class: "attn-cost-chart" }, svg)));
    return { svg, node, up, lines, names, marker };
  };
  // Names at the ends of their lines, moved apart where they would touch
  const spread = (names, places) => {
    let last = -Infinity;
    for (const [form, y] of places.sort((a, b) => a[1] - b[1])) {
      last = Math.max(y + 4, last + 15);
      names[form].setAttribute("y", last);
    }
  };
  const counted = chart("Counted: multiply-adds a token", 4, 9, [[1e4, "10 k"], [1e6, "1 M"], [1e8, "100 M"]]);
  const timed = chart("Timed once, on a CPU: time over that of the fused kernel", -1.25, 1, [[0.1, "0.1"], [1, "1"], [10, "10"]]);
  const { lengths, ratios } = model.get("measured");
  const timedForms = COST_FORMS.map((form) => [form, form === "fused" ? lengths.map(() => 1) : ratios[form]]);
  const ends = [];
  for (const [form, list] of timedForms) {
    const points = lengths.map((n, k) => [n, list[k]]).filter(([, y]) => y !== null);
    timed.lines[form].setAttribute("d", points.map(([n, y], k) => `${k ? "L" : "M"}${across(n)} ${timed.up(y)}`).join(""));
    for (const [n, y] of points) timed.svg.append(shape("circle", { cx: across(n), cy: timed.up(y), r: 3.2, class: `attn-cost-dot attn-cost-${form}` }));
    const [n, y] = points.at(-1);
    timed.names[form].setAttribute("x", across(n) + 8);
    ends.push([form, timed.up(y)]);
  }
  spread(timed.names, ends);

  root.append(
    element("div", { class: "attn-row" }, ...Object.values(one).map((control) => control.node)),
    element("div", { class: "attn-scroll" }, grid.node),
    element("p", { class: "attn-cost-key", text: "★ least in its column. Counted in multiply-adds, for one text; k, M, G: thousand, million, billion." }),
    counted.node, timed.node, reading,
    copyAsPython(() => call(model)).node,
  );

  return follow(model, ["n", "d", "h", "w"], () => {
    now = look(model);
    const [n, d, h, w] = ["n", "d", "h", "w"].map((name) => model.get(name));
    const all = Array.from({ length: 41 }, (_, k) => 2 ** (6 + k / 4));
    const places = [];
    for (const form of COST_FORMS) {
      const y = (length) => counted.up(sum(layerOperations(form, length, d, h, w)) / length);
      counted.lines[form].setAttribute("d", all.map((length, k) => `${k ? "L" : "M"}${across(length).toFixed(1)} ${y(length).toFixed(1)}`).join(""));
      places.push([form, y(65536)]);
    }
    spread(counted.names, places);
    for (const view of [counted, timed]) view.marker.setAttribute("d", `M${across(n)} ${top}V${bottom}`);
    for (const [name, control] of Object.entries(one)) control.set(Math.log2(model.get(name)));
    grid.draw();
    read();
    say(reading.textContent);
  });
}

// The counts on the screen in Python
function call(model) {
  return `from attnbook import costs

sizes = dict(n=${model.get("n")}, d=${model.get("d")}, h=${model.get("h")}, w=${model.get("w")})
operations = {form: costs.operations(form, **sizes) for form in costs.FORMS}
memory = {form: costs.memory(form, **sizes) for form in costs.FORMS}
`;
}

export default { render };
