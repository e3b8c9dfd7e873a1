// The calculator: attention with every intermediate number in view, and where each comes from.
import { additiveScores, attentionWeights, cosineScores, dot, dotScores, matmul, norm, scaledDotScores } from "./attention.js";
import { choice, copyAsPython, element, explorer, follow, format, freshId, numberTable, put, python, resultGrid, scoreFill, slider, weightFill } from "./kit.js";

const SCORES = [["dot", "dot product"], ["scaled_dot", "scaled dot product"], ["cosine", "cosine"], ["additive", "additive"]];
const DIGITS = 4;

function compute(model) {
  const [query, key, value, score] = ["query", "key", "value", "score"].map((name) => model.get(name));
  const of = {
    dot: () => dotScores(query, key),
    scaled_dot: () => scaledDotScores(query, key),
    cosine: () => cosineScores(query, key, model.get("temperature")),
    additive: () => additiveScores(query, key, { W_q: model.get("W_q"), W_k: model.get("W_k"), v: model.get("v") }),
  };
  const scores = of[score]();
  const weights = attentionWeights(scores, model.get("mask"));
  return { products: dotScores(query, key), scores, weights, output: matmul(weights, value) };
}

// Where the numbers of a stage come from, in words and figures
function explanations(model, now) {
  const [query, key, value, mask] = ["query", "key", "value", "mask"].map((name) => model.get(name));
  const queryName = (i) => model.get("query_names")[i];
  const keyName = (j) => model.get("key_names")[j];
  const pair = (i, j) => `${queryName(i)} and key of ${keyName(j)}`;
  const sum = (a, b) => a.map((x, c) => `${format(x, 0 + !Number.isInteger(x) * 2)}·${bracket(b[c])}`).join(" + ");
  const bracket = (x) => { const text = format(x, 0 + !Number.isInteger(x) * 2); return x < 0 ? `(${text})` : text; };
  const score = {
    dot: (i, j) => `the dot product as it is, ${format(now.scores[i][j], DIGITS)}`,
    scaled_dot: (i, j) => `${format(now.products[i][j], DIGITS)} / √${key[0].length} = ${format(now.scores[i][j], DIGITS)}`,
    cosine: (i, j) => `${format(now.products[i][j], DIGITS)} / (${format(norm(query[i]), DIGITS)} · ${format(norm(key[j]), DIGITS)})`
      + `${model.get("temperature") === 1 ? "" : ` / ${format(model.get("temperature"))}`} = ${format(now.scores[i][j], DIGITS)}`,
    additive: (i, j) => `${model.get("v").map((weight, u) => {
      const inside = dot(model.get("W_q")[u], query[i]) + dot(model.get("W_k")[u], key[j]);
      return `${format(weight)}·tanh(${format(inside)})`;
    }).join(" + ")} = ${format(now.scores[i][j], DIGITS)}`,
  }[model.get("score")];
  const open = (i) => key.map((_, j) => j).filter((j) => mask[i][j]);
  return {
    products: (i, j) => `Dot product of ${pair(i, j)}: ${sum(query[i], key[j])} = ${format(now.products[i][j], DIGITS)}.`,
    scores: (i, j) => `Score of ${pair(i, j)}: ${score(i, j)}.`,
    mask: (i, j) => `${pair(i, j)}: ${mask[i][j] ? "open. Press to close it" : "closed, as if the score were −∞. Press to open it"}.`,
    weights: (i, j) => mask[i][j]
      ? `Weight of ${queryName(i)} on ${keyName(j)}: exp(${format(now.scores[i][j])}) / (${open(i).map((k) => `exp(${format(now.scores[i][k])})`).join(" + ")}) = ${format(now.weights[i][j], 6)}.`
      : `Weight of ${queryName(i)} on ${keyName(j)}: 0, because the mask closes this pair.`,
    output: (i, c) => open(i).length === 0
      ? `Output of ${queryName(i)}: 0, because every pair of its row is closed.`
      : `Component ${c + 1} of the output of ${queryName(i)}: ${now.weights[i].map((w, j) => `${format(w, DIGITS)}·${bracket(value[j][c])}`).join(" + ")} = ${format(now.output[i][c], DIGITS)}.`,
  };
}

const HINT = "Point at a number, or move to it with Tab and the arrow keys, to see where it comes from.";

function render({ model, el }) {
  let now = compute(model);
  const { root, say } = explorer(el, { name: "calculator", label: "Attention calculator" });
  const reading = element("p", { class: "attn-reading", text: HINT });
  let pointed = null;
  const read = () => { if (pointed) reading.textContent = explanations(model, now)[pointed[0]](pointed[1], pointed[2]); };

  const shape = ["query", "key", "value"].map((name) => model.get(name));
  const [n, m, d_v] = [shape[0].length, shape[1].length, shape[2][0].length];
  const names = { query: model.get("query_names"), key: model.get("key_names"), value: model.get("key_names").map((name) => name.replace(/^key (?=\d+$)/, "value ")) };
  const inputs = ["query", "key", "value"].map((name) => numberTable({
    label: { query: "Queries", key: "Keys", value: "Values" }[name], kind: name, symbol: name[0].toUpperCase(),
    rows: model.get(name), names: names[name], onChange: (rows) => put(model, { [name]: rows }),
  }));
  const learned = ["W_q", "W_k"].map((name) => numberTable({
    label: "Hidden units of the additive score,", kind: name === "W_q" ? "query" : "key", symbol: name, rows: model.get(name),
    names: model.get(name).map((_, u) => `unit ${u + 1}`), onChange: (rows) => put(model, { [name]: rows }),
  }));
  const read_out = numberTable({
    label: "and what each unit counts for,", kind: "output", symbol: "v", rows: [model.get("v")], names: ["v"],
    onChange: ([row]) => put(model, { v: row }),
  });
  const additive = element("details", {}, element("summary", { text: "The additive score's own numbers" }),
    element("div", { class: "attn-row" }, ...[...learned, read_out].map((one) => element("div", { class: "attn-scroll" }, one.node))));

  const score = choice({ label: "Score", options: SCORES, value: model.get("score"), onChange: (x) => put(model, { score: x }) });
  // Powers of ten of the temperature: a slider of equal steps
  const temperature = slider({
    label: "Temperature", minimum: -2, maximum: 1, step: 0.05, value: Math.log10(model.get("temperature")),
    show: (x) => format(10 ** x, 3), onInput: (x) => put(model, { temperature: 10 ** x }),
  });

  const printed = (stage, i, j) => {
    const row = (model.get("printed")[stage] || [])[i];
    return row && row[j] !== undefined ? `printed: ${row[j]}` : null;
  };
  const point = (stage) => (i, j) => { pointed = [stage, i, j]; read(); };
  const reach = (rows) => Math.max(...rows.flat().map(Math.abs), 1e-300);
  const grid = (stage, label, columns, columnNames, show, onPress = null) => resultGrid({
    label, rows: n, columns, rowNames: names.query, columnNames, onPoint: point(stage), onPress,
    show: (i, j) => ({ note: printed(stage, i, j), ...show(i, j) }),
  });
  const number = (stage, digits) => (i, j) => ({ text: format(now[stage][i][j], digits), fill: scoreFill(now[stage][i][j], reach(now[stage])) });
  const grids = {
    products: grid("products", "Dot products", m, names.key, number("products", 2)),
    scores: grid("scores", "Scores", m, names.key, number("scores", 3)),
    mask: grid("mask", "Mask", m, names.key, (i, j) => {
      const open = model.get("mask")[i][j];
      return { text: open ? "open" : "closed", label: `${names.query[i]} on ${names.key[j]}: ${open ? "open" : "closed"}`, fill: weightFill(open ? 0 : 0.12) };
    }, (i, j) => {
      put(model, { mask: model.get("mask").map((row, k) => row.map((open, l) => (k === i && l === j ? !open : open))) });
      read();
    }),
    weights: grid("weights", "Weights", m, names.key, (i, j) => ({ text: format(now.weights[i][j], DIGITS), fill: weightFill(now.weights[i][j]) })),
    output: grid("output", "Output", d_v, Array.from({ length: d_v }, (_, c) => `${c + 1}`), (i, c) => ({ text: format(now.output[i][c], 3), fill: scoreFill(0, 1) })),
  };
  const stage = (name, number_, title, formula) => {
    const id = freshId("stage");
    return element("div", { class: "attn-stage", role: "group", "aria-labelledby": id },
      element("p", { class: "attn-stage-title", id }, element("b", { text: `${number_} ${title} ` }), formula),
      element("div", { class: "attn-scroll" }, grids[name].node));
  };
  const formula = element("span");
  root.append(
    element("div", { class: "attn-row" }, ...inputs.map((one) => element("div", { class: "attn-scroll" }, one.node))),
    element("div", { class: "attn-row" }, score.node, temperature.node),
    additive,
    element("div", { class: "attn-row attn-stages" },
      stage("products", "1", "Dot products", element("span", { text: "q · k" })),
      stage("scores", "2", "Scores", formula),
      stage("mask", "3", "Mask", element("span", { text: "press to close" })),
      stage("weights", "4", "Weights", element("span", { text: "softmax of each row" })),
      stage("output", "5", "Output", element("span", { text: "average of the values" }))),
    reading,
    copyAsPython(() => call(model)).node,
  );

  const draw = () => {
    now = compute(model);
    inputs.forEach((one, k) => one.set(model.get(["query", "key", "value"][k])));
    learned.forEach((one, k) => one.set(model.get(["W_q", "W_k"][k])));
    read_out.set([model.get("v")]);
    score.set(model.get("score"));
    temperature.set(Math.log10(model.get("temperature")));
    temperature.node.hidden = model.get("score") !== "cosine";
    additive.hidden = model.get("score") !== "additive";
    formula.replaceChildren(...{
      dot: ["the dot products themselves"],
      scaled_dot: ["divided by √d", element("sub", { text: "k" })],
      cosine: ["divided by both lengths"],
      additive: ["vᵀ tanh(W", element("sub", { text: "q" }), " q + W", element("sub", { text: "k" }), " k)"],
    }[model.get("score")]);
    for (const one of Object.values(grids)) one.draw();
    read();
    say(`Output: ${now.output.map((row, i) => `${names.query[i]} ${row.map((x) => format(x, 3)).join(", ")}`).join("; ")}`);
  };
  return follow(model, ["query", "key", "value", "score", "temperature", "mask", "W_q", "W_k", "v"], draw);
}

// The call of attnbook that gives the numbers on the screen
function call(model) {
  const tensor = (name) => `${name} = torch.tensor(${python(model.get(name))}, dtype=torch.float64)`;
  const score = model.get("score");
  const lines = ["import torch", "", "import attnbook", "from attnbook import scores", "", tensor("query"), tensor("key"), tensor("value")];
  let argument = `scores.${score}`;
  if (score === "cosine") argument = `lambda query, key: scores.cosine(query, key, temperature=${python(model.get("temperature"))})`;
  if (score === "additive") {
    argument = "score";
    const [hidden, d_q, d_k] = [model.get("v").length, model.get("query")[0].length, model.get("key")[0].length];
    lines.push("", `score = scores.Additive(d_query=${d_q}, d_key=${d_k}, d_hidden=${hidden}).double()`, "with torch.no_grad():");
    for (const name of ["W_q", "W_k"]) lines.push(`    score.${name}.weight.copy_(torch.tensor(${python(model.get(name))}))`);
    lines.push(`    score.v.weight.copy_(torch.tensor([${python(model.get("v"))}]))`);
  }
  const closed = model.get("mask").some((row) => row.includes(false));
  if (closed) lines.push(`mask = torch.tensor(${python(model.get("mask"))})`);
  lines.push("", `output, weights = attnbook.attention(query, key, value, score=${argument}${closed ? ", mask=mask" : ""})`);
  return `${lines.join("\n")}\n`;
}

export default { render };
