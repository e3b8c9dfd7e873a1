// Attention's arithmetic in the page, in double precision: what attnbook.attention and attnbook.scores compute.
// Matrices are arrays of rows. A mask is an array of rows of true (attention allowed) and false.

export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export function norm(a) {
  return Math.sqrt(dot(a, a));
}

export function transpose(a) {
  return a[0].map((_, j) => a.map((row) => row[j]));
}

export function matmul(a, b) {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => dot(row, column)));
}

// s_ij = q_i · k_j
export function dotScores(query, key) {
  return query.map((q) => key.map((k) => dot(q, k)));
}

// s_ij = q_i · k_j / sqrt(d_k)
export function scaledDotScores(query, key) {
  const scale = Math.sqrt(key[0].length);
  return query.map((q) => key.map((k) => dot(q, k) / scale));
}

// s_ij = q_i · k_j / (|q_i| |k_j| temperature); a row of zeros has no direction and scores 0
export function cosineScores(query, key, temperature = 1) {
  const unit = (row) => {
    const length = norm(row) || 1;
    return row.map((x) => x / length);
  };
  const keys = key.map(unit);
  return query.map(unit).map((q) => keys.map((k) => dot(q, k) / temperature));
}

// s_ij = vᵀ tanh(W_q q_i + W_k k_j); the rows of W_q and W_k are the hidden units
export function additiveScores(query, key, { W_q, W_k, v }) {
  const of = (W, row) => W.map((weights) => dot(weights, row));
  const keys = key.map((k) => of(W_k, k));
  return query.map((row) => {
    const q = of(W_q, row);
    return keys.map((k) => v.reduce((sum, weight, u) => sum + weight * Math.tanh(q[u] + k[u]), 0));
  });
}

// One row of weights. A row that may attend to nothing gets weights that are all 0.
export function softmax(scores, allowed = null) {
  const open = (j) => (allowed === null || allowed[j]) && scores[j] !== -Infinity;
  let largest = -Infinity;
  for (let j = 0; j < scores.length; j++) if (open(j) && scores[j] > largest) largest = scores[j];
  const exps = scores.map((score, j) => (open(j) ? Math.exp(score - largest) : 0));
  const sum = exps.reduce((a, b) => a + b, 0);
  return sum === 0 ? exps : exps.map((e) => e / sum);
}

export function attentionWeights(scores, mask = null) {
  return scores.map((row, i) => softmax(row, mask && mask[i]));
}

// softmax(scores, where the mask allows) times the values
export function attend(scores, value, mask = null) {
  const weights = attentionWeights(scores, mask);
  return { weights, output: matmul(weights, value) };
}
