// The weights of many heads, as Python sends them, and two numbers that describe a head.

// The n × m weights of one head. `view` holds 16-bit numbers, 65535 for a weight of 1, for all layers and heads.
export function headWeights(view, [, heads, n, m], layer, head) {
  const start = (layer * heads + head) * n * m;
  return Array.from({ length: n }, (_, i) => Array.from({ length: m }, (__, j) => view.getUint16(2 * (start + i * m + j), true) / 65535));
}

// How spread out the rows are on average, in bits: 0 if each looks at one key, log2(m) if each looks at all alike
export function meanEntropy(weights) {
  const row = (w) => w.reduce((sum, x) => (x > 0 ? sum - x * Math.log2(x) : sum), 0);
  return weights.reduce((sum, w) => sum + row(w), 0) / weights.length;
}

// How far the rows look on average, in places
export function meanDistance(weights) {
  return weights.reduce((sum, row, i) => sum + row.reduce((inner, w, j) => inner + w * Math.abs(i - j), 0), 0) / weights.length;
}
