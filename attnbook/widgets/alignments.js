// Stored alignments of several forms of attention on the same input, side by side.
import { choice, copyAsPython, element, explorer, follow, format, freshId, put, shape, slider } from "./kit.js";

const CELL = 16;
const SHADES = 32;

// What a form reads at a step: the symbols with the largest weights
function readings(answer, read, step) {
  if (step >= answer.weights.length) return "has ended";
  const most = answer.weights[step].map((w, j) => [w / 1000, j]).sort((a, b) => b[0] - a[0]).slice(0, 2).filter(([w]) => w >= 0.05);
  return `writes ${answer.written[step]}, reads ${most.map(([w, j]) => `${read[j]} ${format(w)}`).join(", ")}`;
}

function render({ model, el }) {
  const { root, say } = explorer(el, { name: "alignments", label: "Forms of attention side by side" });
  const items = model.get("items");
  const item = choice({
    label: "Input", options: items.map((one, k) => [String(k), one.title]), value: String(model.get("item")),
    onChange: (x) => put(model, { item: Number(x), step: 0 }),
  });
  const step = slider({ label: "Step", minimum: 0, maximum: 1, step: 1, value: 0, show: (x) => String(Number(x) + 1), onInput: (x) => put(model, { step: x }) });
  const expected = element("p", {});
  const panels = element("div", { class: "attn-row" });
  root.append(element("div", { class: "attn-row" }, item.node, step.node), expected, panels, copyAsPython(() => call(model)).node);

  let drawn = null;
  let bands = [];
  let says = [];
  const build = () => {
    const { read, answers, expected: right } = items[model.get("item")];
    drawn = model.get("item");
    expected.textContent = `Expected: ${right.join(" ")}`;
    bands = [];
    says = [];
    panels.replaceChildren(...answers.map((answer) => {
      const id = freshId("form");
      const side = 46;
      const [width, height] = [side + read.length * CELL, (answer.weights.length + 1) * CELL + 4];
      const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": id });
      const band = shape("rect", { x: 0, width, height: CELL, class: "attn-alignments-band" });
      svg.append(shape("rect", { x: side, y: CELL, width: read.length * CELL, height: answer.weights.length * CELL, class: "attn-alignments-ground" }), band);
      read.forEach((symbol, j) => svg.append(shape("text", { x: side + (j + 0.5) * CELL, y: 12, "text-anchor": "middle", text: symbol })));
      answer.weights.forEach((row, i) => {
        svg.append(shape("text", { x: side - 5, y: CELL * (i + 1) + 12, "text-anchor": "end", text: answer.written[i] }));
      });
      // One outline for all cells of a shade: a browser takes several times as long over an element for each
      const shades = Array.from({ length: SHADES + 1 }, () => "");
      answer.weights.forEach((row, i) => row.forEach((w, j) => {
        if (w >= 10) shades[Math.round(SHADES * Math.sqrt(w / 1000))] += `M${side + j * CELL + 0.5} ${CELL * (i + 1) + 0.5}h${CELL - 1}v${CELL - 1}h${1 - CELL}Z`;
      }));
      shades.forEach((d, k) => { if (d) svg.append(shape("path", { d, class: "attn-alignments-cell", "fill-opacity": k / SHADES })); });
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect();
        const i = Math.floor((((event.clientY - box.top) / box.height) * height) / CELL) - 1;
        if (i >= 0 && i < answer.weights.length) put(model, { step: i });
      });
      const said = element("p", { class: "attn-alignments-says" });
      bands.push(band);
      says.push(said);
      const title = element("p", { class: "attn-alignments-title", id }, element("b", { text: answer.form }), answer.right ? " ✓ right" : " ✗ wrong");
      svg.style.setProperty("min-width", `${width * 0.72}px`);
      svg.style.setProperty("max-width", `${width * 1.1}px`);
      return element("div", { class: `attn-alignments-panel${read.length > 14 ? " attn-alignments-wide" : ""}` }, title, element("div", { class: "attn-scroll" }, svg), said);
    }));
    step.input.max = Math.max(...answers.map((answer) => answer.weights.length)) - 1;
  };
  return follow(model, ["item", "step"], () => {
    if (drawn !== model.get("item")) build();
    const { read, answers, title } = items[drawn];
    const at = Math.min(model.get("step"), Number(step.input.max));
    answers.forEach((answer, k) => {
      bands[k].setAttribute("y", (at + 1) * CELL);
      bands[k].style.setProperty("display", at < answer.weights.length ? "inline" : "none");
      says[k].textContent = readings(answer, read, at);
    });
    item.set(String(drawn));
    step.set(at);
    say(`${title}, step ${at + 1}. ${answers.map((answer, k) => `${answer.form} ${says[k].textContent}`).join(". ")}`);
  });
}

// The weights on the screen in Python
function call(model) {
  return `from attnbook.widgets import Alignments

weights = Alignments(item=${model.get("item")}).weights  # by form
`;
}

export default { render };
