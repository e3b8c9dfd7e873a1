// A query among keys in the plane, and its output among the values.
import { attend, cosineScores, dotScores, norm, scaledDotScores } from "./attention.js";
import { convexHull } from "./geometry.js";
import { choice, copyAsPython, draggable, element, explorer, follow, format, freshId, plane, put, python, resultGrid, scoreFill, shape, slider, weightFill } from "./kit.js";

const RULES = [["dot", "dot product"], ["scaled_dot", "scaled dot product"], ["cosine", "cosine"]];
const SIZE = 300; // of a plane, in its own units
const FULL = 46; // the radius of a circle that stands for the whole weight

function look(model) {
  const [query, key, value] = ["query", "key", "value"].map((name) => model.get(name));
  const rule = { dot: dotScores, scaled_dot: scaledDotScores, cosine: cosineScores }[model.get("score")];
  const fit = rule([query], key)[0];
  const scores = fit.map((s) => s / model.get("temperature"));
  const { weights, output } = attend([scores], value);
  return { fit, scores, weights: weights[0], output: output[0] };
}

function render({ model, el }) {
  let now = look(model);
  const { root, say } = explorer(el, { name: "plane", label: "A query in the plane of the keys" });
  const names = model.get("key_names");
  const reach = model.get("reach");
  const map = plane({ width: SIZE, height: SIZE, x: [-reach, reach], y: [-reach, reach] });
  const inside = (point) => point.map((x) => Math.round(Math.min(Math.max(x, -reach), reach) * 100) / 100);

  const canvas = (title) => {
    const id = freshId("plane");
    const svg = shape("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-labelledby": id });
    const middle = map.across(0);
    svg.append(
      shape("rect", { width: SIZE, height: SIZE, class: "attn-plane-ground" }),
      shape("path", { d: `M0 ${middle}H${SIZE}M${middle} 0V${SIZE}`, class: "attn-plane-axis" }),
    );
    const node = element("div", { class: "attn-plane-box" }, element("p", { class: "attn-plane-title", id, text: title }), svg);
    return { svg, node };
  };
  const place = (node, [x, y]) => node.setAttribute("transform", `translate(${map.across(x)} ${map.up(y)})`);

  // ---- The keys and the query
  const left = canvas("Keys, and the query");
  const circles = names.map(() => shape("circle", { class: "attn-plane-weight attn-plane-key" }));
  left.svg.append(...circles);
  const arrow = shape("line", { x1: map.across(0), y1: map.up(0), class: "attn-plane-arrow" });
  left.svg.append(arrow);
  const change = (name, j) => (point) => put(model, { [name]: model.get(name).map((row, k) => (k === j ? inside(point) : row)) });
  const handle = (svg, mark, label, at, onMove, name) => {
    const text = shape("text", { class: `attn-plane-label attn-plane-${name}`, x: 9, y: -7, text: label });
    const node = shape("g", {}, shape("circle", { r: 15, class: "attn-plane-touch" }), mark, text);
    svg.append(node);
    const spoken = name === "query" ? "query" : `${name} of ${label}`;
    const tell = draggable(node, { svg, map, label: spoken, at, step: 0.1, onMove });
    for (const [limit, x] of [["aria-valuemin", -reach], ["aria-valuemax", reach]]) node.setAttribute(limit, x);
    return () => { place(node, at()); tell(at()); };
  };
  const moves = names.map((name, j) => handle(left.svg, shape("circle", { r: 5, class: "attn-plane-mark attn-plane-key" }),
    name, () => model.get("key")[j], change("key", j), "key"));
  moves.push(handle(left.svg, shape("path", { d: "M0 -8L2.4 -2.5 8 -2.5 3.6 1.6 5.2 7 0 3.8 -5.2 7 -3.6 1.6 -8 -2.5 -2.4 -2.5Z", class: "attn-plane-mark attn-plane-query" }),
    "query", () => model.get("query"), (point) => put(model, { query: inside(point) }), "query"));

  // ---- The values and the output
  const right = canvas("Values, and the output");
  const hull = shape("polygon", { class: "attn-plane-hull" });
  const pulls = names.map(() => shape("line", { class: "attn-plane-pull" }));
  right.svg.append(hull, ...pulls);
  const squares = names.map(() => shape("rect", { class: "attn-plane-weight attn-plane-value" }));
  right.svg.append(...squares);
  names.forEach((name, j) => moves.push(handle(right.svg, shape("rect", { x: -4.5, y: -4.5, width: 9, height: 9, class: "attn-plane-mark attn-plane-value" }),
    name, () => model.get("value")[j], change("value", j), "value")));
  const output = shape("g", {}, shape("path", { d: "M0 -9L9 0 0 9 -9 0Z", class: "attn-plane-mark attn-plane-output" }),
    shape("text", { class: "attn-plane-label attn-plane-output", x: 11, y: 5, text: "output" }));
  right.svg.append(output);

  // ---- Controls and numbers
  const score = choice({ label: "Score", options: RULES, value: model.get("score"), onChange: (x) => put(model, { score: x }) });
  const temperature = slider({
    label: "Temperature", minimum: -1.5, maximum: 1.5, step: 0.05, value: Math.log10(model.get("temperature")),
    show: (x) => format(10 ** x, 2), onInput: (x) => put(model, { temperature: Number((10 ** x).toPrecision(6)) }),
  });
  const reading = element("p", { class: "attn-reading" });
  let pointed = null;
  const grid = resultGrid({
    label: "Scores and weights", rows: 2, columns: names.length, rowNames: ["score", "weight"], columnNames: names,
    onPoint: (row, j) => { pointed = [j, row]; read(); },
    show: (row, j) => (row === 0
      ? { text: format(now.scores[j], 2), fill: scoreFill(now.scores[j], Math.max(...now.scores.map(Math.abs), 1e-300)) }
      : { text: format(now.weights[j], 3), fill: weightFill(now.weights[j]) }),
  });
  const read = () => {
    const where = `Output (${now.output.map((x) => format(x)).join(", ")})`;
    if (pointed === null) {
      reading.textContent = `${where}. Drag the query, or any other point; or move to it with Tab and the arrow keys.`;
      return;
    }
    const [j, row] = pointed;
    const [q, k] = [model.get("query"), model.get("key")[j]];
    const product = `${q.map((x, c) => `${format(x)}·${k[c] < 0 ? `(${format(k[c])})` : format(k[c])}`).join(" + ")}`;
    const by = model.get("temperature") === 1 ? "" : ` / ${format(model.get("temperature"))}`;
    const rule = { dot: "", scaled_dot: " / √2", cosine: ` / (${format(norm(q))} · ${format(norm(k))})` }[model.get("score")];
    reading.textContent = row === 0
      ? `Score of ${names[j]}: (${product})${rule}${by} = ${format(now.scores[j], 3)}. ${where}.`
      : `Weight of ${names[j]}: exp(${format(now.scores[j])}) over the sum of exp of all ${names.length} scores = ${format(now.weights[j], 4)}. ${where}.`;
  };
  root.append(
    element("div", { class: "attn-row" }, score.node, temperature.node),
    element("div", { class: "attn-row attn-planes" }, left.node, right.node),
    element("div", { class: "attn-scroll" }, grid.node),
    reading,
    copyAsPython(() => call(model)).node,
  );

  return follow(model, ["query", "key", "value", "score", "temperature"], () => {
    now = look(model);
    const [query, key, value] = ["query", "key", "value"].map((name) => model.get(name));
    for (const move of moves) move();
    arrow.setAttribute("x2", map.across(query[0]));
    arrow.setAttribute("y2", map.up(query[1]));
    const [ox, oy] = [map.across(now.output[0]), map.up(now.output[1])];
    now.weights.forEach((weight, j) => {
      circles[j].setAttribute("r", FULL * Math.sqrt(weight));
      circles[j].setAttribute("cx", map.across(key[j][0]));
      circles[j].setAttribute("cy", map.up(key[j][1]));
      // A square of the circle's area
      const side = FULL * Math.sqrt(Math.PI * weight);
      const [x, y] = [map.across(value[j][0]), map.up(value[j][1])];
      for (const [name, number] of [["x", x - side / 2], ["y", y - side / 2], ["width", side], ["height", side]]) squares[j].setAttribute(name, number);
      for (const [name, number] of [["x1", x], ["y1", y], ["x2", ox], ["y2", oy]]) pulls[j].setAttribute(name, number);
      pulls[j].setAttribute("stroke-width", 9 * weight);
    });
    hull.setAttribute("points", convexHull(value).map(([x, y]) => `${map.across(x)},${map.up(y)}`).join(" "));
    place(output, now.output);
    score.set(model.get("score"));
    temperature.set(Math.log10(model.get("temperature")));
    grid.draw();
    read();
    say(`Weights: ${names.map((name, j) => `${name} ${format(now.weights[j])}`).join(", ")}. Output ${now.output.map((x) => format(x)).join(", ")}`);
  });
}

// The call of attnbook that gives the numbers on the screen
function call(model) {
  const score = model.get("score");
  const t = model.get("temperature");
  const rule = score === "cosine" ? "scores.cosine(query, key)" : `scores.${score}(query, key)`;
  return `import torch

import attnbook
from attnbook import scores

query = torch.tensor([${python(model.get("query"))}], dtype=torch.float64)
key = torch.tensor(${python(model.get("key"))}, dtype=torch.float64)
value = torch.tensor(${python(model.get("value"))}, dtype=torch.float64)

score = lambda query, key: ${rule}${t === 1 ? "" : ` / ${python(t)}`}
output, weights = attnbook.attention(query, key, value, score=score)
`;
}

export default { render };
