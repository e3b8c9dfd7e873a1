// Random scores of longer and longer vectors: what the softmax makes of them, and what is left of its gradient.
import { dot, softmax } from "./attention.js";
import { frobenius, normalRow, softmaxJacobian } from "./saturation_model.js";
import { button, copyAsPython, element, explorer, follow, format, freshId, paint, put, resultGrid, scoreFill, shape, slider, toggle, weightFill } from "./kit.js";

const ROW = 22; // height of a key's line
const WIDE = 210; // width of a stage

function look(model) {
  const [d, keys, seed] = ["d_k", "n_keys", "seed"].map((name) => model.get(name));
  const query = normalRow(seed, 0, d);
  const root = model.get("scaled") ? Math.sqrt(d) : 1;
  const scores = Array.from({ length: keys }, (_, j) => dot(query, normalRow(seed, j + 1, d)) / root);
  const weights = softmax(scores);
  const jacobian = softmaxJacobian(weights);
  return { scores, weights, jacobian, norm: frobenius(jacobian) };
}

function render({ model, el }) {
  let now = look(model);
  const keys = model.get("n_keys");
  const high = keys * ROW;
  const { root, say } = explorer(el, { name: "saturation", label: "Scores of random vectors, their weights and the gradient" });

  const size = slider({
    label: "Size of query and key", minimum: 0, maximum: 10, step: 1, value: Math.log2(model.get("d_k")),
    show: (x) => String(2 ** x), onInput: (x) => put(model, { d_k: 2 ** x }),
  });
  const scaled = toggle({ label: "Divide by the root of the size", value: model.get("scaled"), onChange: (x) => put(model, { scaled: x }) });
  const fresh = button({ label: "New random vectors", onClick: () => put(model, { seed: (model.get("seed") + 1) % 32 }) });

  const stage = (title, height = high + 24) => {
    const id = freshId("stage");
    const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${height}`, role: "img", "aria-labelledby": id });
    const caption = element("p", { class: "attn-saturation-title", id, text: title });
    return { svg, caption, node: element("div", { class: "attn-saturation-stage" }, caption, svg) };
  };
  const text = (x, y, said, anchor = "start") => shape("text", { x, y, text: said, "text-anchor": anchor });
  const line = (j) => j * ROW + ROW / 2;

  // Scores: a bar from 0 each; the band from −1 to 1 shows how wide the axis has become
  const first = stage("Scores");
  const middle = WIDE / 2 + 12;
  const half = WIDE / 2 - 60;
  const band = shape("rect", { y: 0, height: high, class: "attn-saturation-band" });
  first.svg.append(band, shape("path", { d: `M${middle} 0V${high}`, class: "attn-saturation-axis" }));
  const scoreBars = now.scores.map((_, j) => shape("rect", { y: j * ROW + 4, height: ROW - 8, class: "attn-saturation-score" }));
  const scoreTexts = now.scores.map((_, j) => text(0, line(j) + 4, ""));
  const bandText = text(middle, high + 16, "", "middle");
  first.svg.append(...scoreBars, ...scoreTexts, ...now.scores.map((_, j) => text(0, line(j) + 4, `${j + 1}`)), bandText);

  const second = stage("Weights");
  const weightBars = now.weights.map((_, j) => shape("rect", { x: 18, y: j * ROW + 4, height: ROW - 8, class: "attn-saturation-weight" }));
  const weightTexts = now.weights.map((_, j) => text(0, line(j) + 4, ""));
  second.svg.append(shape("path", { d: `M18 0V${high}M${WIDE - 40} 0V${high}`, class: "attn-saturation-axis" }),
    ...weightBars, ...weightTexts, ...now.weights.map((_, j) => text(0, line(j) + 4, `${j + 1}`)), text(18, high + 16, "0", "middle"), text(WIDE - 40, high + 16, "1", "middle"));

  const third = stage("Gradient: weight (row) by score (column)");
  const cells = now.jacobian.map((row, i) => row.map((_, j) => shape("rect", { x: 18 + j * ROW, y: i * ROW, width: ROW - 1.5, height: ROW - 1.5, class: "attn-fill attn-saturation-cell" })));
  third.svg.append(...cells.flat(), ...now.weights.map((_, i) => text(0, line(i) + 4, `${i + 1}`)), ...now.weights.map((_, j) => text(18 + j * ROW + ROW / 2 - 1, high + 16, `${j + 1}`, "middle")));

  // The typical size of the gradient over the vectors' size, from Python's many samples
  const curves = model.get("curves");
  const [left, right, top, bottom, least] = [44, 610, 10, 120, 1e-6];
  const across = (e) => left + (e / 10) * (right - left);
  const up = (x) => top + (Math.log10(Math.max(x, least)) / Math.log10(least)) * (bottom - top);
  const chart = shape("svg", { viewBox: "0 0 640 160", role: "img", "aria-label": "Typical size of the gradient against the size of query and key; with the division it stays, without it falls" });
  for (const e of [0, 2, 4, 6, 8, 10]) chart.append(text(across(e), 138, String(2 ** e), "middle"));
  for (const [x, said] of [[1, "1"], [1e-2, "0.01"], [1e-4, "1e−4"], [1e-6, "1e−6"]]) {
    chart.append(shape("path", { d: `M${left} ${up(x)}H${right}`, class: "attn-saturation-axis" }), text(left - 6, up(x) + 4, said, "end"));
  }
  const path = (list) => list.map((x, e) => `${e ? "L" : "M"}${across(e)} ${up(x)}`).join("");
  const end = (list, said, dx, dy) => text(across(7) + dx, up(list[7]) + dy, said, "middle");
  const now_ = shape("circle", { r: 6, class: "attn-saturation-now" });
  chart.append(
    shape("path", { d: path(curves.scaled), class: "attn-saturation-curve" }),
    shape("path", { d: path(curves.unscaled), class: "attn-saturation-curve attn-saturation-dashed" }),
    end(curves.scaled, "divided", 0, -7), end(curves.unscaled, "not divided", -60, 14), now_,
    text((left + right) / 2, 156, "size of query and key", "middle"),
  );
  const chartTitle = element("p", { class: "attn-saturation-title", text: "Size of the gradient: of many samples (lines, medians), of this one (dot)" });

  const reading = element("p", { class: "attn-reading" });
  let pointed = null;
  const names = Array.from({ length: keys }, (_, j) => `key ${j + 1}`);
  const slope = (j) => now.jacobian[j][j];
  const grid = resultGrid({
    label: "Numbers", rows: 3, columns: keys, rowNames: ["score", "weight", "own slope"], columnNames: names,
    onPoint: (row, j) => { pointed = [row, j]; read(); },
    show: (row, j) => [
      { text: format(now.scores[j], 2), fill: scoreFill(now.scores[j], Math.max(...now.scores.map(Math.abs), 1e-300)) },
      { text: format(now.weights[j], 3), fill: weightFill(now.weights[j]) },
      { text: format(slope(j), 3), fill: scoreFill(slope(j), 0.25) },
    ][row],
  });
  const read = () => {
    const whole = `The gradient's size is ${format(now.norm, 4)}: the root of the sum of its squared entries`;
    if (pointed === null) { reading.textContent = `${whole}.`; return; }
    const [row, j] = pointed;
    reading.textContent = [
      `Score of key ${j + 1}: the dot product${model.get("scaled") ? ` divided by √${model.get("d_k")}` : ""} is ${format(now.scores[j], 3)}.`,
      `Weight of key ${j + 1}: exp(${format(now.scores[j])}) over the sum of all ${keys} exponentials = ${format(now.weights[j], 5)}.`,
      `When the score of key ${j + 1} rises by a little, its own weight rises ${format(now.weights[j], 3)} · (1 − ${format(now.weights[j], 3)}) = ${format(slope(j), 4)} times as much. ${whole}.`,
    ][row];
  };
  root.append(
    element("div", { class: "attn-row" }, size.node, scaled.node, fresh.node),
    element("div", { class: "attn-row attn-saturation-stages" }, first.node, second.node, third.node),
    chartTitle, element("div", { class: "attn-scroll" }, element("div", { class: "attn-saturation-chart" }, chart)),
    element("div", { class: "attn-scroll" }, grid.node),
    reading,
    copyAsPython(() => call(model)).node,
  );

  return follow(model, ["d_k", "scaled", "seed"], () => {
    now = look(model);
    const reach = Math.max(1.5, 1.05 * Math.max(...now.scores.map(Math.abs)));
    const width = (x) => (x / reach) * half;
    now.scores.forEach((s, j) => {
      scoreBars[j].setAttribute("x", middle + Math.min(0, width(s)));
      scoreBars[j].setAttribute("width", Math.abs(width(s)));
      scoreTexts[j].textContent = format(s, 1);
      scoreTexts[j].setAttribute("x", middle + width(s) + (s < 0 ? -4 : 4));
      scoreTexts[j].setAttribute("text-anchor", s < 0 ? "end" : "start");
      const w = now.weights[j] * (WIDE - 58);
      weightBars[j].setAttribute("width", w);
      weightTexts[j].textContent = format(now.weights[j], 3);
      weightTexts[j].setAttribute("x", 22 + w);
      now.jacobian[j].forEach((x, i) => paint(cells[j][i], scoreFill(x, 0.25)));
    });
    band.setAttribute("x", middle - width(1));
    band.setAttribute("width", 2 * width(1));
    bandText.textContent = "band: −1 to 1";
    const e = Math.log2(model.get("d_k"));
    now_.setAttribute("cx", across(e));
    now_.setAttribute("cy", up(now.norm));
    size.set(e);
    scaled.set(model.get("scaled"));
    grid.draw();
    read();
    say(`Largest weight ${format(Math.max(...now.weights), 3)}, size of the gradient ${format(now.norm, 4)}`);
  });
}

// The call of attnbook that gives the numbers on the screen
function call(model) {
  const score = model.get("scaled") ? "scaled_dot" : "dot";
  return `import torch

from attnbook import attention_weights
from attnbook.scores import ${score}
from attnbook.widgets.saturation import vectors

query, key = vectors(n_keys=${model.get("n_keys")}, d_k=${model.get("d_k")}, seed=${model.get("seed")})
scores = ${score}(query, key)[0]
weights = attention_weights(scores[None])[0]
jacobian = torch.func.jacrev(lambda s: s.softmax(dim=-1))(scores)
`;
}

export default { render };
