// Any word, letter by letter, into sounds: a trained model with attention that runs in the page.
import { pronounce, pronouncer, readTensors } from "./recurrent.js";
import { button, copyAsPython, element, explorer, follow, format, freshId, put, python, resultGrid, shape, slider, weightFill } from "./kit.js";

const LONGEST = 20;
const FIRST_LETTER = 4; // after pad, begin, end and unknown
const END_SIGN = "⏎";
// Each sound with a word that has it: ARPAbet, the alphabet of the dictionary
const HEARD_IN = {
  AA: "father", AE: "cat", AH: "cut", AO: "law", AW: "cow", AY: "my", B: "bee", CH: "chin", D: "day", DH: "this", EH: "bed", ER: "bird", EY: "say",
  F: "fee", G: "go", HH: "he", IH: "it", IY: "see", JH: "joy", K: "key", L: "low", M: "me", N: "no", NG: "sing", OW: "go", OY: "boy", P: "pie",
  R: "ray", S: "so", SH: "she", T: "tea", TH: "thin", UH: "book", UW: "too", V: "van", W: "we", Y: "yes", Z: "zoo", ZH: "vision",
};

// What is wrong with a word; null if nothing is.
function wordProblem(text) {
  const word = text.trim().toLowerCase();
  if (word === "") return "empty";
  const other = [...word].find((letter) => !/[a-z]/.test(letter));
  if (other !== undefined) return `“${other}” is not a letter from a to z`;
  return word.length > LONGEST ? `longer than ${LONGEST} letters` : null;
}

// The whole answer to a word: a list of steps
function answerTo(network, word) {
  const numbers = [...word].map((letter) => FIRST_LETTER + letter.charCodeAt(0) - 97);
  return [...pronounce(network, [...numbers, 2])];
}

// The lines from the letters to a sound, each as wide as its weight, as one outline; a weight below a hundredth would
// not be seen.
function ribbons(weights, letterAt, x) {
  return weights.map((w, j) => {
    if (w < 0.01) return "";
    const [from, half] = [letterAt(j), 5.5 * w];
    const across = half * Math.hypot(1, (x - from) / 108); // measured level, so that the line is 11 w thick
    return `M${from - across} 30L${from + across} 30L${x + across} 138L${x - across} 138Z`;
  }).join("");
}

function render({ model, el }) {
  const network = pronouncer(readTensors(model.get("weights_file")));
  const sounds = model.get("sounds").map((name) => (name === "<eos>" ? END_SIGN : name));
  const { root, say } = explorer(el, { name: "alignment", label: "From letters to sounds" });

  // ---- The word, and where in it we are
  const id = freshId("word");
  const problem = element("span", { class: "attn-problem", id: `${id}-problem`, role: "alert" });
  const field = element("input", {
    type: "text", id, autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: 60, "aria-describedby": problem.id, "data-lm-suppress-shortcuts": "true",
    on: {
      input: () => {
        const wrong = wordProblem(field.value);
        tell(wrong);
        if (wrong === null) { stop(); put(model, { word: field.value.trim().toLowerCase(), step: 99 }); }
      },
      blur: () => { field.value = model.get("word"); tell(null); },
    },
  });
  const tell = (wrong) => {
    problem.textContent = wrong === null ? "" : `${wrong}: ${model.get("word")} stays`;
    field.setAttribute("aria-invalid", wrong === null ? "false" : "true");
  };
  const place = slider({ label: "Step", minimum: 1, maximum: 2, step: 1, value: 1, onInput: (x) => { stop(); put(model, { step: x }); } });
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.set("Play"); };
  const play = button({
    label: "Play",
    onClick: () => {
      if (timer !== null) { stop(); return; }
      put(model, { step: 1 });
      play.set("Pause");
      timer = setInterval(() => {
        if (!root.isConnected || shown() >= steps.length) { stop(); return; }
        put(model, { step: shown() + 1 });
      }, 900);
    },
  });

  // ---- The pictures of one word, made again for another
  const picture = element("div", { class: "attn-scroll" });
  const map = element("div", { class: "attn-scroll" });
  const candidates = element("div", {});
  const reading = element("p", { class: "attn-reading" });
  let [word, steps, links, letters, written] = ["", [], [], [], []];
  const shown = () => Math.min(Math.max(model.get("step"), 1), steps.length);

  const grid = resultGrid({
    label: "Weights: a row for each sound, a column for each letter", rows: 1, columns: 1, rowNames: [""], columnNames: [""],
    onPoint: (i, j) => {
      stop();
      put(model, { step: i + 1 });
    },
    show: (i, j) => {
      if (i >= shown()) return { text: "" }; // not written yet
      const w = steps[i].weights[j];
      if (w < 0.005) return { text: "" }; // 0.00: the headers say the rest
      return { text: format(w).replace(/^0/, ""), fill: weightFill(w), label: `${sounds[steps[i].symbol]} reads ${word[j] ?? END_SIGN}: ${format(w, 3)}` };
    },
  });
  grid.node.classList.add("attn-alignment-map");
  map.append(grid.node);

  // The map of a new word comes in the frame after its picture: together they would hold up fast typing.
  let frame = null;
  const buildMap = () => {
    frame = null;
    grid.resize(steps.length, word.length + 1, steps.map((step) => sounds[step.symbol]), [...word, END_SIGN]);
    grid.node.firstChild.style.setProperty("grid-template-columns", `2rem repeat(${word.length + 1}, 1.85rem)`);
    grid.draw();
  };

  const build = () => {
    word = model.get("word");
    steps = answerTo(network, word);
    const read = [...word, END_SIGN];
    const gap = 40;
    const width = Math.max(read.length, steps.length) * gap;
    const at = (k, count) => ((k + 0.5) * width) / count;
    const title = freshId("links");
    const svg = shape("svg", { viewBox: `0 0 ${width} 170`, role: "img", "aria-labelledby": title });
    svg.style.setProperty("width", `min(100%, ${width * 1.15}px)`);
    svg.style.setProperty("min-width", `${width * 0.64}px`);
    // The lines of a step; a weight below a hundredth would not be seen
    links = steps.map((step, i) => shape("path", { d: ribbons(step.weights, (j) => at(j, read.length), at(i, steps.length)) }));
    letters = read.map((letter, j) => shape("text", { x: at(j, read.length), y: 22, "text-anchor": "middle", class: "attn-alignment-letter", text: letter }));
    written = steps.map((step, i) => shape("text", { x: at(i, steps.length), y: 158, "text-anchor": "middle", class: "attn-alignment-sound", text: sounds[step.symbol] }));
    svg.append(...links, ...letters, ...written);
    picture.replaceChildren(element("p", { class: "attn-alignment-title", id: title, text: "Letters above, sounds below: the thicker the line, the larger the weight" }), svg);

    place.input.max = steps.length;
  };

  const best = resultGrid({
    label: "The model's best sounds for this step", rows: 2, columns: 4, rowNames: ["sound", "probability"],
    show: (row, k) => {
      if (!steps.length) return { text: "" };
      const ranked = steps[shown() - 1].probabilities.map((p, s) => [p, s]).sort((a, b) => b[0] - a[0]);
      const [p, s] = ranked[k];
      return row === 0 ? { text: sounds[s], note: HEARD_IN[sounds[s]] ? `as in ${HEARD_IN[sounds[s]]}` : "the end" } : { text: format(p, 3), fill: weightFill(p) };
    },
  });
  best.node.classList.add("attn-alignment-best");
  candidates.append(element("p", { class: "attn-alignment-title", text: "What it considered at this step" }), element("div", { class: "attn-scroll" }, best.node));

  root.append(
    element("div", { class: "attn-row" },
      element("div", { class: "attn-control" }, element("label", { for: id, text: "Word" }), field, problem), place.node, play.node),
    picture,
    element("div", { class: "attn-row attn-alignment-below" }, map, candidates),
    reading,
    copyAsPython(() => call(model)).node,
  );

  const finish = follow(model, ["word", "step"], () => {
    if (model.get("word") !== word) {
      build();
      if (frame === null) frame = requestAnimationFrame(buildMap);
    }
    const now = shown();
    const step = steps[now - 1];
    links.forEach((link, i) => {
      link.setAttribute("class", `attn-alignment-link${i === now - 1 ? " attn-alignment-on" : ""}${i < now ? "" : " attn-alignment-later"}`);
    });
    written.forEach((text, i) => {
      text.style.setProperty("visibility", i < now ? "visible" : "hidden");
      text.classList.toggle("attn-alignment-on", i === now - 1);
    });
    if (frame === null) grid.draw();
    best.draw();
    place.set(now);
    if (document.activeElement !== field) { field.value = word; tell(null); }
    const read = [...word, END_SIGN];
    const most = step.weights.map((w, j) => [w, j]).sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([w]) => w >= 0.05);
    const before = steps.slice(0, now - 1).map((one) => sounds[one.symbol]).join(" ");
    const writes = step.symbol === 2 ? "ends the word" : `writes ${sounds[step.symbol]}, as in ${HEARD_IN[sounds[step.symbol]]}`;
    reading.textContent = `Step ${now} of ${steps.length}${before ? `, after ${before}` : ""}: it reads ${most.map(([w, j]) => `${read[j]} (${format(w)})`).join(", ")} and ${writes}, with probability ${format(step.probabilities[step.symbol], 3)}.`;
    say(reading.textContent);
  });
  return () => { stop(); cancelAnimationFrame(frame); finish(); };
}

// The answer on the screen in Python
function call(model) {
  return `from attnbook import pretrained, seq2seq
from attnbook.data.pronunciations import LETTERS, PHONEMES

model = pretrained.load_pronunciations("bahdanau-small")
(answer,) = seq2seq.decode(model, [${python(model.get("word"))}], LETTERS, PHONEMES, max_length=28)
sounds, weights = answer
`;
}

export default { render };
