// Four kinds of positions as functions of the distance between query and key.
import { dot } from "./attention.js";
import { alibiSlopes, frequencies, rotaryTurn, sinusoidalRow, t5Bucket } from "./positions_model.js";
import { button, choice, copyAsPython, element, explorer, follow, format, freshId, paint, put, python, scoreFill, shape, slider } from "./kit.js";

const FORMS = [["sinusoidal", "sinusoidal"], ["rotary", "rotary"], ["alibi", "ALiBi"], ["t5", "T5, relative bias"]];
const REACH = 48; // positions 0 … 48

// The query is (1, 0) in each pair of components, the key is turned away from it by `angle`.
function pairVectors(model) {
  const turn = (model.get("angle") * Math.PI) / 180;
  const pairs = (pair) => Array.from({ length: model.get("size") / 2 }, () => pair).flat();
  return { query: pairs([1, 0]), key: pairs([Math.cos(turn), Math.sin(turn)]) };
}

// What the form makes of a query at position i and a key at position j
function between(model, i, j) {
  const [size, base] = [model.get("size"), model.get("base")];
  const form = model.get("form");
  if (form === "sinusoidal") return dot(sinusoidalRow(i, size, base), sinusoidalRow(j, size, base)) / (size / 2);
  if (form === "alibi") return -alibiSlopes(model.get("n_heads"))[model.get("head")] * Math.abs(j - i);
  if (form === "t5") return model.get("biases")[t5Bucket(j - i, model.get("biases").length, model.get("max_distance"))];
  const { query, key } = pairVectors(model);
  return dot(rotaryTurn(query, i, base), rotaryTurn(key, j, base)) / (size / 2);
}

function look(model) {
  const [i, j] = [model.get("query_position"), model.get("key_position")];
  const curve = Array.from({ length: 2 * REACH + 1 }, (_, k) => {
    const distance = k - REACH;
    return between(model, Math.max(0, -distance), Math.max(0, distance));
  });
  return { curve, value: between(model, i, j), distance: j - i };
}

function render({ model, el }) {
  let now = look(model);
  const { root, say } = explorer(el, { name: "positions", label: "Positions as functions of distance" });
  const set = (name) => (x) => put(model, { [name]: x });
  const number = (label, name, minimum, maximum, show = String) =>
    slider({ label, minimum, maximum, step: 1, value: model.get(name), show, onInput: set(name) });

  const form = choice({ label: "Kind", options: FORMS, value: model.get("form"), onChange: set("form") });
  const query = number("Position of the query", "query_position", 0, REACH);
  const key = number("Position of the key", "key_position", 0, REACH);
  const both = (step) => () => {
    const places = [model.get("query_position") + step, model.get("key_position") + step];
    if (Math.min(...places) >= 0 && Math.max(...places) <= REACH) put(model, { query_position: places[0], key_position: places[1] });
  };
  const back = button({ label: "Both one back", onClick: both(-1) });
  const on = button({ label: "Both one on", onClick: both(1) });
  const size = slider({
    label: "Components", minimum: 1, maximum: 6, step: 1, value: Math.log2(model.get("size")), show: (x) => String(2 ** x),
    onInput: (x) => put(model, { size: 2 ** x, pair: Math.min(model.get("pair"), 2 ** (x - 1) - 1) }),
  });
  const pair = slider({
    label: "Pair shown", minimum: 0, maximum: 31, step: 1, value: model.get("pair"), onInput: (x) => put(model, { pair: Math.min(x, model.get("size") / 2 - 1) }),
  });
  const angle = number("Angle of the key", "angle", 0, 180, (x) => `${x}°`);
  const head = number("Head", "head", 0, model.get("n_heads") - 1);

  // ---- The curve over the distance
  const [left, right, top, bottom] = [46, 592, 12, 176];
  const across = (distance) => left + ((distance + REACH) / (2 * REACH)) * (right - left);
  let [low, high] = [-1, 1];
  const up = (x) => bottom - ((x - low) / (high - low)) * (bottom - top);
  const text = (x, y, said, anchor = "middle") => shape("text", { x, y, text: said, "text-anchor": anchor });
  const title = freshId("curve");
  const chart = shape("svg", { viewBox: "0 0 600 212", role: "img", "aria-labelledby": title });
  const zero = shape("path", { class: "attn-positions-axis" });
  const middle = shape("path", { d: `M${across(0)} ${top}V${bottom}`, class: "attn-positions-axis" });
  const others = Array.from({ length: model.get("n_heads") }, () => shape("path", { class: "attn-positions-other" }));
  const curve = shape("path", { class: "attn-positions-curve" });
  const mark = shape("circle", { r: 7, class: "attn-positions-mark" });
  const ticks = [0, 1, 2].map(() => text(left - 6, 0, "", "end"));
  chart.append(shape("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "attn-positions-ground" }), zero, middle, ...others, curve, mark, ...ticks,
    ...[-48, -32, -16, 0, 16, 32, 48].map((d) => text(across(d), bottom + 16, format(d, 0))),
    text(across(-24), bottom + 33, "← key before the query"), text(across(24), bottom + 33, "key after the query →"));
  const chartTitle = element("p", { class: "attn-positions-title", id: title });

  // ---- The rotation of one pair
  const circle = shape("svg", { viewBox: "-115 -115 230 230", role: "img", "aria-label": "One pair of components of the query and of the key, before and after turning" });
  const arrow = (name, faint) => shape("line", { x1: 0, y1: 0, class: `attn-positions-arrow attn-positions-${name}${faint ? " attn-positions-faint" : ""}` });
  const arrows = { q0: arrow("query", true), k0: arrow("key", true), q: arrow("query", false), k: arrow("key", false) };
  const names = { q: shape("text", { class: "attn-positions-query", text: "query", "text-anchor": "middle" }), k: shape("text", { class: "attn-positions-key", text: "key", "text-anchor": "middle" }) };
  circle.append(shape("circle", { r: 80, class: "attn-positions-round" }), ...Object.values(arrows), ...Object.values(names));
  const circleSays = element("p", {});
  const turning = element("div", { class: "attn-positions-turning" }, element("p", { class: "attn-positions-title", text: "One pair, turned (thin: before)" }), circle, circleSays);

  // ---- The rows of the sinusoidal table
  const strip = shape("svg", { viewBox: "0 0 600 84", role: "img", "aria-label": "The rows of the table for the two positions, one square a component" });
  const rows = [0, 1].map((row) => Array.from({ length: 64 }, () => shape("rect", { y: 22 + row * 30, height: 26, class: "attn-fill attn-positions-cell" })));
  const rowNames = [text(84, 40, "", "end"), text(84, 70, "", "end")];
  strip.append(text(92, 14, "components: the fast pair first, the slowest last", "start"), ...rowNames, ...rows.flat());
  const stripBox = element("div", { class: "attn-scroll" }, element("div", { class: "attn-positions-chart" }, strip));

  const reading = element("p", { class: "attn-reading" });
  root.append(
    element("div", { class: "attn-row" }, form.node, size.node, pair.node, angle.node, head.node),
    element("div", { class: "attn-row" }, query.node, key.node, back.node, on.node),
    chartTitle, element("div", { class: "attn-scroll" }, element("div", { class: "attn-positions-chart" }, chart)),
    stripBox, turning, reading, copyAsPython(() => call(model)).node,
  );

  const point = (line, degrees, length) => {
    const turn = (degrees * Math.PI) / 180;
    line.setAttribute("x2", length * Math.cos(turn));
    line.setAttribute("y2", -length * Math.sin(turn));
  };
  return follow(model, ["form", "query_position", "key_position", "size", "pair", "angle", "head"], () => {
    now = look(model);
    const kind = model.get("form");
    const [i, j, d] = [model.get("query_position"), model.get("key_position"), model.get("size")];
    const slopes = alibiSlopes(model.get("n_heads"));
    [low, high] = kind === "alibi" ? [-8, 0] : kind === "t5" ? [Math.min(0, ...model.get("biases")), Math.max(0, ...model.get("biases"))] : [-1, 1];
    chartTitle.textContent = {
      sinusoidal: "Dot product of the two rows, divided by the number of pairs",
      rotary: "Score of the turned query and key, divided by the number of pairs",
      alibi: "What is added to the score: a line for each head",
      t5: "What is added to the score: one number for each bucket (these were made up)",
    }[kind];
    const d_ = (values) => values.map((x, k) => `${k ? "L" : "M"}${across(k - REACH).toFixed(2)} ${up(Math.max(x, low)).toFixed(2)}`).join("");
    const steps = (values) => values.map((x, k) => `${k ? "L" : "M"}${across(k - REACH - 0.5).toFixed(2)} ${up(x).toFixed(2)}H${across(k - REACH + 0.5).toFixed(2)}`).join("");
    curve.setAttribute("d", kind === "t5" ? steps(now.curve) : d_(now.curve));
    others.forEach((one, h) => {
      one.toggleAttribute("hidden", kind !== "alibi");
      one.setAttribute("d", kind === "alibi" ? d_(now.curve.map((_, k) => -slopes[h] * Math.abs(k - REACH))) : "");
    });
    zero.setAttribute("d", `M${left} ${up(0)}H${right}`);
    ticks.forEach((tick, k) => {
      const x = low + (k / 2) * (high - low);
      tick.textContent = format(x, Number.isInteger(x) ? 0 : 1);
      tick.setAttribute("y", up(x) + 4);
    });
    mark.setAttribute("cx", across(now.distance));
    mark.setAttribute("cy", up(Math.max(now.value, low)));

    const turns = kind === "rotary";
    turning.hidden = !turns;
    angle.node.hidden = !turns;
    pair.node.hidden = !turns;
    size.node.hidden = kind === "alibi" || kind === "t5";
    head.node.hidden = kind !== "alibi";
    stripBox.hidden = kind !== "sinusoidal";
    const where = `Query at ${i}, key at ${j}: distance ${format(now.distance, 0)}`;
    if (turns) {
      const shown = Math.min(model.get("pair"), d / 2 - 1);
      const f = frequencies(d, model.get("base"))[shown];
      const degrees = (p) => (p * f * 180) / Math.PI;
      const [q, k] = [degrees(i), model.get("angle") + degrees(j)];
      point(arrows.q0, 0, 80); point(arrows.k0, model.get("angle"), 80); point(arrows.q, q, 80); point(arrows.k, k, 80);
      for (const [name, at] of [["q", q], ["k", k]]) {
        names[name].setAttribute("x", 99 * Math.cos((at * Math.PI) / 180));
        names[name].setAttribute("y", 4 - 99 * Math.sin((at * Math.PI) / 180));
      }
      circleSays.textContent = `Pair ${shown} turns by ${format(degrees(1), degrees(1) < 0.1 ? 4 : 2)}° a position: the query by ${format(degrees(i), 1)}°, the key by ${format(degrees(j), 1)}°. Between them: ${format(model.get("angle") + degrees(j - i), 1)}°, cosine ${format(Math.cos(((k - q) * Math.PI) / 180), 4)}.`;
      reading.textContent = `${where}. Mean of the ${d / 2} pairs' cosines, the score over ${d / 2}: ${format(now.value, 4)}.`;
    } else if (kind === "sinusoidal") {
      const width = 500 / d;
      [i, j].forEach((p, row) => {
        const values = sinusoidalRow(p, d, model.get("base"));
        rowNames[row].textContent = `${row ? "key" : "query"} ${p}`;
        rows[row].forEach((cell, c) => {
          cell.setAttribute("width", c < d ? Math.max(width - 1, 1) : 0);
          cell.setAttribute("x", 92 + c * width);
          if (c < d) paint(cell, scoreFill(values[c], 1));
        });
      });
      reading.textContent = `${where}. Dot product of their rows over ${d / 2}: ${format(now.value, 4)}.`;
    } else if (kind === "alibi") {
      reading.textContent = `${where}. Head ${model.get("head")} has the slope ${format(slopes[model.get("head")], 4)} and adds −${format(slopes[model.get("head")], 4)} · ${Math.abs(now.distance)} = ${format(now.value, 4)} to the score.`
        + (now.value < low ? " (Below the picture.)" : "");
    } else {
      const bucket = t5Bucket(now.distance, model.get("biases").length, model.get("max_distance"));
      reading.textContent = `${where}, bucket ${bucket} of ${model.get("biases").length}. It adds ${format(now.value, 4)} to the score, as every distance of this bucket does.`;
    }
    for (const [one, name] of [[query, "query_position"], [key, "key_position"], [angle, "angle"], [head, "head"]]) one.set(model.get(name));
    form.set(kind);
    size.set(Math.log2(d));
    pair.input.max = d / 2 - 1;
    pair.set(model.get("pair"));
    say(reading.textContent);
  });
}

// The number on the screen in Python
function call(model) {
  const [i, j, d, base] = ["query_position", "key_position", "size", "base"].map((name) => model.get(name));
  const length = Math.max(i, j) + 1;
  return {
    sinusoidal: `import torch

from attnbook.positions import sinusoidal

table = sinusoidal(${length}, ${d}, base=${python(base)}, dtype=torch.float64)
value = (table[${i}] @ table[${j}] / ${d / 2}).item()
`,
    rotary: `import math

import torch

from attnbook.positions import Rotary

turn = math.radians(${model.get("angle")})
query = torch.tensor([[1.0, 0.0] * ${d / 2}], dtype=torch.float64)
key = torch.tensor([[math.cos(turn), math.sin(turn)] * ${d / 2}], dtype=torch.float64)
rotary = Rotary(${d}, base=${python(base)}, layout="interleaved")
value = (rotary(query, start=${i})[0] @ rotary(key, start=${j})[0] / ${d / 2}).item()
`,
    alibi: `from attnbook.positions import alibi

value = alibi(${model.get("n_heads")}, ${length}, symmetric=True)[${model.get("head")}, ${i}, ${j}].item()
`,
    t5: `import torch

from attnbook.positions import t5_bucket

biases = ${python(model.get("biases"))}
bucket = t5_bucket(torch.tensor(${j - i}), n_buckets=${model.get("biases").length}, max_distance=${model.get("max_distance")})
value = biases[bucket]
`,
  }[model.get("form")];
}

export default { render };
