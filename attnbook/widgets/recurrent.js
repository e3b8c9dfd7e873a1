// The small letters-to-sounds model of chapter 11 in the page: attnbook.seq2seq with Bahdanau's decoder, in double
// precision. It reads the weights from the very file that Python reads.

// A 16-bit float (IEEE 754, binary16) as a double
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// A safetensors file: the length of a JSON header, the header, the numbers. Matrices come as arrays of rows.
export function readTensors(view) {
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + 8, length)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start] = [] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "F16") throw new Error(`weights of type F16 can be read; ${name} has ${dtype}`);
    const [rows, columns] = shape.length === 2 ? shape : [1, shape[0]];
    const at = (i) => half(view.getUint16(8 + length + start + 2 * i, true));
    const matrix = Array.from({ length: rows }, (_, r) => Float64Array.from({ length: columns }, (__, c) => at(r * columns + c)));
    tensors[name] = shape.length === 2 ? matrix : matrix[0];
  }
  return tensors;
}

// Plain loops: Float64Array.from with a function takes several times as long.
function affine(weight, x, bias = null) {
  const y = new Float64Array(weight.length);
  for (let r = 0; r < weight.length; r++) {
    const row = weight[r];
    let sum = bias === null ? 0 : bias[r];
    for (let c = 0; c < row.length; c++) sum += row[c] * x[c];
    y[r] = sum;
  }
  return y;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function join(...parts) {
  const whole = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let from = 0;
  for (const part of parts) {
    whole.set(part, from);
    from += part.length;
  }
  return whole;
}

// PyTorch's GRU: r, z from input and state; n = tanh(W x + r (U h)); h' = (1 − z) n + z h
export function gruStep(w, x, h) {
  const size = h.length;
  const from = affine(w.input, x, w.inputBias);
  const back = affine(w.state, h, w.stateBias);
  return h.map((old, u) => {
    const r = sigmoid(from[u] + back[u]);
    const z = sigmoid(from[size + u] + back[size + u]);
    const fresh = Math.tanh(from[2 * size + u] + r * back[2 * size + u]);
    return (1 - z) * fresh + z * old;
  });
}

export function pronouncer(tensors) {
  const gru = (stem, suffix = "") => ({
    input: tensors[`${stem}weight_ih${suffix}`], state: tensors[`${stem}weight_hh${suffix}`],
    inputBias: tensors[`${stem}bias_ih${suffix}`], stateBias: tensors[`${stem}bias_hh${suffix}`],
  });
  const forward = gru("encoder.recurrence.rnn.", "_l0");
  const backward = gru("encoder.recurrence.rnn.", "_l0_reverse");
  return {
    letters: tensors["encoder.embedding.weight"], forward, backward,
    start: tensors["decoder.start.W_s.weight"], startBias: tensors["decoder.start.W_s.bias"],
    W_q: tensors["decoder.score.W_q.weight"], W_k: tensors["decoder.score.W_k.weight"], v: tensors["decoder.score.v.weight"][0],
    sounds: tensors["decoder.embedding.weight"], cell: gru("decoder.cell."),
    deep: tensors["decoder.deep.weight"], deepBias: tensors["decoder.deep.bias"],
    out: tensors["decoder.W_o.weight"], outBias: tensors["decoder.W_o.bias"],
  };
}

// The states of a GRU that reads the inputs in their order
function states(weights, inputs) {
  let h = new Float64Array(weights.state[0].length);
  return inputs.map((x) => (h = gruStep(weights, x, h)));
}

function softmaxOf(scores) {
  const largest = Math.max(...scores);
  const exps = Float64Array.from(scores, (s) => Math.exp(s - largest));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / sum);
}

const BEGIN = 1;
const END = 2;

// Read the numbers of a word (its end symbol included), then write one sound a step: yields { symbol, weights,
// probabilities } with the attention weights over the letters and the probability of every sound, until the end symbol
// or `most` symbols.
export function* pronounce(model, numbers, most = 28) {
  const embedded = numbers.map((number) => model.letters[number]);
  const right = states(model.forward, embedded);
  const left = states(model.backward, [...embedded].reverse()).reverse();
  const annotations = right.map((h, j) => join(h, left[j]));
  let s = affine(model.start, join(right.at(-1), left[0]), model.startBias).map(Math.tanh);
  const keys = annotations.map((h) => affine(model.W_k, h));
  let last = BEGIN;
  for (let i = 0; i < most; i++) {
    const query = affine(model.W_q, s);
    const scores = keys.map((key) => model.v.reduce((sum, weight, u) => sum + weight * Math.tanh(query[u] + key[u]), 0));
    const weights = softmaxOf(scores);
    const context = new Float64Array(annotations[0].length);
    annotations.forEach((h, j) => { for (let u = 0; u < h.length; u++) context[u] += weights[j] * h[u]; });
    const y = model.sounds[last];
    const deep = affine(model.deep, join(s, y, context), model.deepBias);
    // Maxout: the larger of each pair
    const t = Float64Array.from({ length: deep.length / 2 }, (_, k) => Math.max(deep[2 * k], deep[2 * k + 1]));
    const logits = affine(model.out, t, model.outBias);
    last = logits.indexOf(Math.max(...logits));
    yield { symbol: last, weights: [...weights], probabilities: [...softmaxOf(logits)] };
    if (last === END) return;
    s = gruStep(model.cell, join(y, context), s);
  }
}
