// What explorers are built of: elements, controls with labels, cells of numbers, colors. Labels are text, never HTML.

const SVG = "http://www.w3.org/2000/svg";
// JupyterLab takes arrow keys and letters for itself unless the focused element says otherwise.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

// One count for the page: every kind of explorer has a copy of this module.
export function freshId(stem) {
  globalThis.attnbookIds = (globalThis.attnbookIds ?? 0) + 1;
  return `attn-${stem}-${globalThis.attnbookIds}`;
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// element("p", { class: "x", text: "plain text", on: { click } }, child, "more text")
export function element(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

// The same for SVG: shape("circle", { cx: 1, cy: 2, r: 3 })
export function shape(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

// 0.5 → "0.5", 18.4752086 → "18.48", 1e-8 → "1.0e−8", −∞ → "−∞"; a true minus sign, as in the book
export function format(x, digits = 2) {
  if (x === Infinity || x === -Infinity) return x > 0 ? "∞" : "−∞";
  if (Number.isNaN(x)) return "not a number";
  const size = Math.abs(x);
  const text = size !== 0 && (size < 0.5 * 10 ** -digits || size >= 1e6) ? x.toExponential(1) : x.toFixed(digits);
  return text.replaceAll("-", "−").replace("e+", "e");
}

// As Python reads it: no −0, true and false as True and False
export function python(value) {
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return JSON.stringify(value);
  return Object.is(value, -0) ? "0" : String(value);
}

// ---- The frame: title for screen readers, live region, theme

// The box of one explorer. `say` announces a result to screen readers, once it has stopped changing.
export function explorer(el, { name, label }) {
  const status = element("p", { class: "attn-hidden", role: "status", "aria-live": "polite" });
  const root = element("div", { class: `attn attn-${name}`, role: "group", "aria-label": label });
  el.append(root, status);
  let timer;
  const say = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => (status.textContent = text), 400);
  };
  return { root, say };
}

// Call `draw` now and whenever one of the model's names changes, whoever changed it. Returns what stops it.
export function follow(model, names, draw) {
  const events = names.map((name) => `change:${name}`);
  for (const event of events) model.on(event, draw);
  draw();
  return () => {
    for (const event of events) model.off(event, draw);
  };
}

// Write what the reader chose into the model, and to Python where there is a kernel.
export function put(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

// ---- Controls. Each is { node, set(value) }; `set` shows a value without calling back.

export function slider({ label, minimum, maximum, step, value, show = String, onInput }) {
  const id = freshId("slider");
  const output = element("output", { for: id, class: "attn-readout" });
  const input = element("input", {
    type: "range", id, min: minimum, max: maximum, step, value, ...OWN_KEYS,
    on: { input: () => { tell(); onInput(Number(input.value)); } },
  });
  // The browser moves a value to the nearest step; what is shown is the value itself.
  const tell = (x = Number(input.value)) => {
    output.textContent = show(x);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  tell(value);
  const node = element("div", { class: "attn-control" }, element("label", { for: id, text: label }), input, output);
  return { node, input, set: (x) => { input.value = x; tell(x); } };
}

export function choice({ label, options, value, onChange }) {
  const id = freshId("choice");
  const input = element("select", { id, ...OWN_KEYS, on: { change: () => onChange(input.value) } });
  for (const [key, text] of options) input.append(element("option", { value: key, text }));
  input.value = value;
  const node = element("div", { class: "attn-control" }, element("label", { for: id, text: label }), input);
  return { node, input, set: (x) => { input.value = x; } };
}

export function toggle({ label, value, onChange }) {
  const id = freshId("toggle");
  const input = element("input", {
    type: "checkbox", id, ...OWN_KEYS, on: { change: () => onChange(input.checked) },
  });
  input.checked = value;
  const node = element("div", { class: "attn-control attn-toggle" }, input, element("label", { for: id, text: label }));
  return { node, input, set: (x) => { input.checked = x; } };
}

export function button({ label, onClick, ...properties }) {
  const node = element("button", { type: "button", text: label, ...OWN_KEYS, ...properties, on: { click: onClick } });
  return { node, set: (text) => { node.textContent = text; } };
}

// What is wrong with the text of a number cell; null if nothing is.
export function numberProblem(text) {
  const plain = text.trim().replace("−", "-");
  if (plain === "") return "empty";
  if (/^[+-]?(inf|infinity|∞)$/i.test(plain)) return "infinite";
  // Not what Number() takes beside decimals: 0x10, 1_000 and the like
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return "not a number";
  return Math.abs(Number(plain)) < 1e6 ? null : "larger than a million";
}

// A cell for one number. A bad text says so beside the cell, and the last good number stays.
export function numberCell({ label, value, onChange, kind = "" }) {
  const id = freshId("cell");
  const problem = element("span", { class: "attn-problem", id: `${id}-problem`, role: "alert" });
  let good = value;
  const input = element("input", {
    type: "text", inputmode: "decimal", autocomplete: "off", id, class: `attn-number ${kind}`, "aria-label": label,
    ...OWN_KEYS,
    on: {
      input: () => {
        const wrong = numberProblem(input.value);
        tell(wrong);
        if (wrong === null) onChange((good = Number(input.value.trim().replace("−", "-"))));
      },
      // Leaving a bad cell shows the number that is still in use.
      blur: () => { input.value = plain(good); tell(null); },
      focus: () => input.select(),
    },
  });
  const plain = (x) => String(Object.is(x, -0) ? 0 : x).replaceAll("-", "−");
  const tell = (wrong) => {
    problem.textContent = wrong === null ? "" : `${wrong}: ${plain(good)} stays`;
    fill(input, { "aria-invalid": wrong === null ? "false" : "true", "aria-describedby": problem.id }, []);
  };
  tell(null);
  input.value = plain(value);
  const set = (x) => {
    good = x;
    if (document.activeElement !== input) { input.value = plain(x); tell(null); }
  };
  return { node: element("span", { class: "attn-cell" }, input, problem), input, set };
}

// A matrix of number cells as a table. `kind` is query, key or value and gives the color; names label the rows.
export function numberTable({ label, kind, symbol, rows, names, onChange }) {
  const cells = rows.map((row, i) => row.map((value, c) => numberCell({
    label: `${names[i]}, component ${c + 1}`, value, kind,
    onChange: (x) => {
      current = current.map((one, k) => (k === i ? one.map((old, l) => (l === c ? x : old)) : one));
      onChange(current);
    },
  })));
  let current = rows;
  const body = cells.map((row, i) => element("tr", {},
    element("th", { scope: "row", text: names[i] }), ...row.map((cell) => element("td", {}, cell.node))));
  const caption = element("caption", { class: `attn-${kind}` }, `${label} `, element("i", { text: symbol }));
  const node = element("table", { class: "attn-table" }, caption, element("tbody", {}, ...body));
  const set = (values) => {
    current = values;
    cells.forEach((row, i) => row.forEach((cell, c) => cell.set(values[i][c])));
  };
  return { node, set };
}

// A button that shows, and copies, the call of attnbook for what is on the screen.
export function copyAsPython(code) {
  const text = element("code");
  const shown = element("pre", { class: "attn-code", tabindex: "0", hidden: true, "aria-label": "Python" }, text);
  const copy = button({
    label: "Copy as Python",
    onClick: async () => {
      text.textContent = code();
      shown.hidden = false;
      let copied = true;
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {
        // No clipboard here (a page without HTTPS, a frame): the text is selected, for the reader's own copy.
        copied = false;
        getSelection().selectAllChildren(text);
      }
      copy.set(copied ? "Copied" : "Selected below");
      setTimeout(() => copy.set("Copy as Python"), 2000);
    },
  });
  return { node: element("div", { class: "attn-copy" }, copy.node, shown), refresh: () => { text.textContent = code(); } };
}

// ---- Grids of results: one tab stop, arrow keys inside, hover and focus alike tell where a number comes from

// `show(i, j)` gives { text, fill, note, label } of a cell: its text, its colors (see weightFill; a browser is faster
// without), a line below it, and what a screen reader says. `onPoint(i, j)` is told the cell that is pointed at or
// focused; `onPress(i, j)`, if given, makes cells buttons. `resize` keeps the cells that stay, because a browser takes
// longest over new ones; draw after it.
export function resultGrid({ label, rows, columns, rowNames = null, columnNames = null, show, onPoint, onPress = null }) {
  const cells = [];
  const shown = [];
  const places = new WeakMap();
  const blank = element("td", { role: "gridcell", tabindex: -1, class: `attn-fill${onPress ? " attn-press" : ""}`, ...OWN_KEYS });
  const body = element("tbody");
  const head = columnNames && element("tr", { role: "row" }, rowNames ? element("td", { role: "gridcell" }) : null);
  if (head) body.append(head);
  const columnHeads = [];
  const lines = []; // { row, name } of each row
  let at = [0, 0];

  // Make a list of elements as long as `count`: the last ones go, new ones come after `last` or first in `row`.
  const fit = (list, count, row, last, make) => {
    while (list.length > count) list.pop().remove();
    while (list.length < count) {
      const one = make(list.length);
      const before = list.at(-1) ?? last;
      if (before) before.after(one); else row.prepend(one);
      list.push(one);
    }
  };
  const name = (heads, names) => heads.forEach((node, k) => { if (node.textContent !== names[k]) node.textContent = names[k]; });
  const resize = (rowCount, columnCount, newRowNames = null, newColumnNames = null) => {
    if (head) fit(columnHeads, columnCount, head, head.firstChild, () => element("th", { scope: "col", role: "columnheader" }));
    while (lines.length > rowCount) { lines.pop().row.remove(); cells.pop(); shown.pop(); }
    while (lines.length < rowCount) {
      const rowHead = newRowNames && element("th", { scope: "row", role: "rowheader" });
      lines.push({ row: element("tr", { role: "row" }, rowHead), rowHead });
      body.append(lines.at(-1).row);
      cells.push([]);
      shown.push([]);
    }
    lines.forEach(({ row, rowHead }, i) => fit(cells[i], columnCount, row, rowHead, (j) => {
      const cell = blank.cloneNode(false);
      places.set(cell, [i, j]);
      return cell;
    }));
    for (const row of shown) row.length = columnCount;
    if (newRowNames) name(lines.map(({ rowHead }) => rowHead), newRowNames);
    if (newColumnNames) name(columnHeads, newColumnNames);
    stop(Math.min(at[0], rowCount - 1), Math.min(at[1], columnCount - 1));
  };
  // The one cell that Tab comes to
  const stop = (i, j) => {
    const before = cells[at[0]]?.[at[1]];
    if (before) before.tabIndex = -1;
    at = [i, j];
    cells[i][j].tabIndex = 0;
  };
  resize(rows, columns, rowNames, columnNames);

  const move = (i, j) => {
    stop(Math.min(Math.max(i, 0), cells.length - 1), Math.min(Math.max(j, 0), cells[0].length - 1));
    cells[at[0]][at[1]].focus();
  };
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  // On the whole table, because a listener on each cell would take most of the time that a grid needs.
  const on = (event, act) => body.addEventListener(event, (happened) => {
    const place = places.get(happened.target.closest("td"));
    if (place) act(place, happened);
  });
  const point = ([i, j]) => onPoint && onPoint(i, j);
  const press = ([i, j]) => onPress && onPress(i, j);
  on("pointerover", point);
  on("focusin", (place) => {
    stop(...place);
    point(place);
  });
  on("click", (place) => { point(place); press(place); });
  on("keydown", (place, event) => {
    if (steps[event.key]) {
      event.preventDefault();
      event.stopPropagation();
      move(at[0] + steps[event.key][0], at[1] + steps[event.key][1]);
    } else if (onPress && (event.key === " " || event.key === "Enter")) {
      event.preventDefault();
      press(place);
    }
  });
  const node = element("table", { class: "attn-grid", role: "grid", "aria-label": label }, body);
  const draw = () => {
    for (let i = 0; i < cells.length; i++) for (let j = 0; j < cells[0].length; j++) {
      const cell = cells[i][j];
      const looks = show(i, j);
      const key = JSON.stringify(looks);
      if (shown[i][j] === key) continue; // most cells stay as they are
      shown[i][j] = key;
      const { text, fill: colors = null, note = null, label: said = null } = looks;
      cell.replaceChildren(text);
      if (note !== null) cell.append(element("span", { class: "attn-note", text: note }));
      if (said !== null) cell.setAttribute("aria-label", said);
      else cell.removeAttribute("aria-label");
      if (colors) paint(cell, colors);
      else cell.removeAttribute("style");
    }
  };
  draw();
  return { node, draw, resize, cells, placeOf: (inner) => places.get(inner?.closest("td")) };
}

// ---- Colors: the same scales as the book's figures, each for light and dark pages; the style sheet picks one

const channels = (color) => [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
const WEIGHT_STOPS = [["#ffffff", "#bfd9ec", "#5aa3cf", "#0b5c94", "#06294a"], ["#15191f", "#1d3c57", "#2b6c9d", "#79bdec", "#e2f2ff"]].map((scale) => scale.map(channels));
const SCORE_STOPS = [["#8c3b00", "#e9a876", "#ffffff", "#8fbfde", "#0b4f80"], ["#ffb98a", "#8f5021", "#15191f", "#235f89", "#9bd4ff"]].map((scale) => scale.map(channels));

function mix(stops, t) {
  const place = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
  const k = Math.min(Math.floor(place), stops.length - 2);
  return [0, 1, 2].map((c) => Math.round(stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c])));
}

// Black or white: on any color one of them has a contrast of at least 4.5 to 1 (WCAG 2, relative luminance)
function ink(rgb) {
  const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.179 ? "#ffffff" : "#000000";
}

function colors(pair, t) {
  const [light, dark] = pair.map((stops) => mix(stops, t));
  return { "--light": `rgb(${light})`, "--dark": `rgb(${dark})`, "--light-ink": ink(light), "--dark-ink": ink(dark) };
}

// A weight from 0 (the page) to 1
export function weightFill(weight) {
  return colors(WEIGHT_STOPS, weight);
}

// A score: nothing at 0, blue above, brown below, full at `reach`
export function scoreFill(score, reach) {
  return colors(SCORE_STOPS, Number.isFinite(score) && reach > 0 ? 0.5 + score / reach / 2 : 0.5);
}

// For an element of class attn-fill (its ground) or an SVG shape of that class (its fill)
export function paint(node, fillColors) {
  for (const [name, value] of Object.entries(fillColors)) node.style.setProperty(name, value);
}

// ---- The plane

// A map from data to the SVG's own units, and back from a pointer's place on the screen
export function plane({ width, height, x, y }) {
  const across = (a) => ((a - x[0]) / (x[1] - x[0])) * width;
  const up = (b) => height - ((b - y[0]) / (y[1] - y[0])) * height;
  const from = (svg, event) => {
    const box = svg.getBoundingClientRect();
    const a = x[0] + ((event.clientX - box.left) / box.width) * (x[1] - x[0]);
    const b = y[1] - ((event.clientY - box.top) / box.height) * (y[1] - y[0]);
    return [Math.min(Math.max(a, x[0]), x[1]), Math.min(Math.max(b, y[0]), y[1])];
  };
  return { across, up, from };
}

// Make a node a handle: dragged by mouse or finger, moved by arrow keys. `onMove([x, y])` gets data units.
export function draggable(node, { svg, map, label, at, step, onMove }) {
  fill(node, { tabindex: 0, role: "slider", "aria-label": label, "aria-roledescription": "point in the plane", ...OWN_KEYS }, []);
  node.classList.add("attn-handle");
  const steps = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  node.addEventListener("keydown", (event) => {
    if (!steps[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    const [a, b] = at();
    const size = event.shiftKey ? 5 * step : step;
    onMove([a + size * steps[event.key][0], b + size * steps[event.key][1]]);
  });
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    node.focus();
    node.setPointerCapture(event.pointerId);
    const drag = (moved) => onMove(map.from(svg, moved));
    const end = () => { node.removeEventListener("pointermove", drag); };
    node.addEventListener("pointermove", drag);
    node.addEventListener("pointerup", end, { once: true });
    node.addEventListener("pointercancel", end, { once: true });
  });
  // A slider needs one number: the first coordinate, with both in words.
  return ([a, b]) => {
    node.setAttribute("aria-valuenow", a);
    node.setAttribute("aria-valuetext", `${format(a)}, ${format(b)}`);
  };
}
