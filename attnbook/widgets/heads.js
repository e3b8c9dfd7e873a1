// All heads of a model on one input: choose one, and see what each token reads.
import { headWeights, meanDistance, meanEntropy } from "./heads_model.js";
import { copyAsPython, element, explorer, follow, format, freshId, put, resultGrid, shape, toggle, weightFill } from "./kit.js";

const ROW = 26;

function look(model) {
  const weights = headWeights(model.get("data"), model.get("shape"), model.get("layer"), model.get("head"));
  const [, , n, m] = model.get("shape");
  return { weights, entropy: meanEntropy(weights), distance: n === m ? meanDistance(weights) : null };
}

function render({ model, el }) {
  let now = look(model);
  const [layers, heads, n, m] = model.get("shape");
  const [queries, keys] = [model.get("tokens"), model.get("key_tokens")];
  const { root, say } = explorer(el, { name: "heads", label: "Attention heads" });
  root.style.setProperty("--m", m);

  // ---- Thumbnails: one tab stop, arrow keys inside
  const thumbs = [];
  const go = (layer, head) => {
    const [l, h] = [Math.min(Math.max(layer, 0), layers - 1), Math.min(Math.max(head, 0), heads - 1)];
    put(model, { layer: l, head: h });
    thumbs[l * heads + h].focus();
  };
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const gallery = element("div", { class: "attn-heads-gallery", role: "group", "aria-label": "Choose a head" });
  gallery.style.setProperty("--heads", heads);
  for (let layer = 0; layer < layers; layer++) {
    gallery.append(element("span", { class: "attn-heads-layer", text: `layer ${layer + 1}` }));
    for (let head = 0; head < heads; head++) {
      const canvas = element("canvas", { width: m, height: n, "aria-hidden": "true" });
      const image = canvas.getContext("2d").createImageData(m, n);
      headWeights(model.get("data"), model.get("shape"), layer, head).flat().forEach((w, k) => image.data.set([11, 92, 148, Math.round(255 * Math.sqrt(w))], 4 * k));
      canvas.getContext("2d").putImageData(image, 0, 0);
      const thumb = element("button", {
        type: "button", tabindex: -1, "aria-label": `layer ${layer + 1}, head ${head + 1}`, "data-lm-suppress-shortcuts": "true",
        on: {
          click: () => put(model, { layer, head }),
          keydown: (event) => {
            if (!steps[event.key]) return;
            event.preventDefault();
            event.stopPropagation();
            go(layer + steps[event.key][0], head + steps[event.key][1]);
          },
        },
      }, canvas);
      thumbs.push(thumb);
      gallery.append(thumb);
    }
  }

  // ---- The chosen head: its map, and the links of one token
  const title = element("p", { class: "attn-heads-title" });
  const grid = resultGrid({
    label: "Weights of the chosen head: a row for each token that reads", rows: n, columns: m, rowNames: queries, columnNames: keys,
    onPoint: (i, j) => { if (model.get("reads")) put(model, { token: i }); else put(model, { token: j }); },
    show: (i, j) => {
      const w = now.weights[i][j];
      return { text: m > 12 || w < 0.005 ? "" : format(w).replace(/^0/, ""), fill: weightFill(w), label: `${queries[i]} reads ${keys[j]}: ${format(w, 3)}` };
    },
  });
  grid.node.classList.add("attn-heads-map");
  const height = ROW * Math.max(n, m);
  const id = freshId("links");
  const links = shape("svg", { viewBox: `0 0 230 ${height}`, role: "img", "aria-labelledby": id });
  const at = (k) => k * ROW + ROW / 2;
  const lines = Array.from({ length: Math.max(n, m) }, () => shape("line", { x1: 78, x2: 152, class: "attn-heads-link" }));
  const label = (name, k, x, anchor, side) => {
    const full = shape("title", { text: name });
    const node = shape("text", { x, y: at(k) + 5, "text-anchor": anchor, class: `attn-heads-token attn-heads-${side}` });
    node.append(name.length > 9 ? `${name.slice(0, 8)}…` : name, full);
    const choose = () => put(model, side === "query" ? { reads: true, token: k } : { reads: false, token: k });
    node.addEventListener("pointerenter", choose);
    node.addEventListener("click", choose);
    return node;
  };
  const left = queries.map((name, i) => label(name, i, 70, "end", "query"));
  const right = keys.map((name, j) => label(name, j, 160, "start", "key"));
  links.append(...lines, ...left, ...right);
  const linksTitle = element("p", { class: "attn-heads-title", id });
  const reads = toggle({ label: "What the token reads (off: who reads it)", value: model.get("reads"), onChange: (x) => put(model, { reads: x, token: Math.min(model.get("token"), (x ? n : m) - 1) }) });

  const reading = element("p", { class: "attn-reading" });
  const numbers = element("p", { class: "attn-heads-numbers" });
  root.append(
    gallery,
    element("div", { class: "attn-row attn-heads-chosen" },
      element("div", { class: "attn-heads-left" }, title, element("div", { class: "attn-scroll" }, grid.node)),
      element("div", { class: "attn-heads-right" }, linksTitle, links)),
    reads.node, numbers, reading,
    model.get("source") ? copyAsPython(() => call(model)).node : null,
  );

  let drawn = "";
  return follow(model, ["layer", "head", "token", "reads"], () => {
    const [layer, head] = [model.get("layer"), model.get("head")];
    if (drawn !== `${layer} ${head}`) {
      drawn = `${layer} ${head}`;
      now = look(model);
      grid.draw();
      thumbs.forEach((thumb, k) => {
        const chosen = k === layer * heads + head;
        thumb.setAttribute("aria-pressed", chosen);
        thumb.tabIndex = chosen ? 0 : -1;
      });
      title.textContent = `Layer ${layer + 1}, head ${head + 1}: weights`;
      numbers.textContent = `Entropy of a row: ${format(now.entropy)} bits on average (0: one key; ${format(Math.log2(m))}: all ${m} alike).`
        + (now.distance === null ? "" : ` Distance read: ${format(now.distance)} places on average.`);
    }
    const from = model.get("reads");
    const token = Math.min(model.get("token"), (from ? n : m) - 1);
    const weights = from ? now.weights[token] : now.weights.map((row) => row[token]);
    const others = from ? keys : queries;
    lines.forEach((one, k) => {
      const w = k < weights.length ? weights[k] : 0;
      one.setAttribute("y1", from ? at(token) : at(k));
      one.setAttribute("y2", from ? at(k) : at(token));
      one.setAttribute("stroke-width", 14 * w);
    });
    left.forEach((node, i) => node.classList.toggle("attn-heads-bold", from && i === token));
    right.forEach((node, j) => node.classList.toggle("attn-heads-bold", !from && j === token));
    grid.cells.forEach((row, i) => row.forEach((cell, j) => cell.classList.toggle("attn-heads-on", from ? i === token : j === token)));
    reads.set(from);
    const name = from ? queries[token] : keys[token];
    linksTitle.textContent = from ? `What ${name} (place ${token}) reads` : `Who reads ${name} (place ${token})`;
    const best = weights.map((w, k) => [w, k]).sort((a, b) => b[0] - a[0]).slice(0, 4).filter(([w]) => w >= 0.005);
    const list = best.map(([w, k]) => `${others[k]} (place ${k}) ${format(w)}`).join(", ") || "nothing";
    reading.textContent = from ? `${name} (place ${token}) reads: ${list}.` : `${name} (place ${token}) is read by: ${list}.`;
    say(`Layer ${layer + 1}, head ${head + 1}. ${reading.textContent}`);
  });
}

// The weights on the screen in Python
function call(model) {
  return `${model.get("source").trim()}

head = weights[${model.get("layer")}, ${model.get("head")}]
row = head${model.get("reads") ? `[${model.get("token")}]` : `[:, ${model.get("token")}]`}
`;
}

export default { render };
