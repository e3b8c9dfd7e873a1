// Random vectors that Python can make too, and the softmax's Jacobian.

// An integer hash with good avalanche (C. Wellons, Prospecting for Hash Functions, 2018: lowbias32)
export function hash32(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

// A standard normal number for each counter, by Box and Muller (1958) from two hashes
export function normalAt(counter) {
  const u = (hash32(2 * counter) + 0.5) / 2 ** 32;
  const v = (hash32(2 * counter + 1) + 0.5) / 2 ** 32;
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

// The first d components of a row: a longer vector begins with the shorter one. At most 64 rows and 1024 components.
export function normalRow(seed, row, d) {
  return Array.from({ length: d }, (_, c) => normalAt((seed * 64 + row) * 1024 + c));
}

// ∂α_i / ∂s_j = α_i (δ_ij − α_j)
export function softmaxJacobian(weights) {
  return weights.map((a, i) => weights.map((b, j) => a * ((i === j ? 1 : 0) - b)));
}

// The root of the sum of all squared entries
export function frobenius(matrix) {
  return Math.sqrt(matrix.flat().reduce((sum, x) => sum + x * x, 0));
}
