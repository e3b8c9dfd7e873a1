// Masks of n queries on n keys, true where attention is allowed: what attnbook.masks makes.

function each(n, allowed) {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => allowed(i, j)));
}

export function openMask(n) {
  return each(n, () => true);
}

export function causalMask(n) {
  return each(n, (i, j) => j <= i);
}

// The first `length` keys are there, the rest is padding.
export function paddingMask(n, length) {
  return each(n, (i, j) => j < length);
}

export function windowMask(n, before, after) {
  return each(n, (i, j) => i - before <= j && j <= i + after);
}

export function stridedMask(n, stride) {
  return each(n, (i, j) => (i - j) % stride === 0);
}

export function globalMask(n, tokens) {
  return each(n, (i, j) => tokens.includes(i) || tokens.includes(j));
}

export function blockMask(n, size) {
  return each(n, (i, j) => Math.floor(i / size) === Math.floor(j / size));
}

// `order` ranks the keys of each row at random, one hexadecimal digit a pair; the first `count` of them are seen.
export function randomMask(n, order, count) {
  return each(n, (i, j) => parseInt(order[i * n + j], 16) < count);
}

export function either(a, b) {
  return a.map((row, i) => row.map((x, j) => x || b[i][j]));
}

export function both(a, b) {
  return a.map((row, i) => row.map((x, j) => x && b[i][j]));
}

// How many layers it takes until row i depends on input j: 0 for itself, because a layer adds its output to its input
// (the residual connection); 1 where the mask allows it; more along a path; Infinity for never.
export function layersNeeded(mask) {
  const n = mask.length;
  return mask.map((_, start) => {
    const steps = new Array(n).fill(Infinity);
    steps[start] = 0;
    let edge = [start];
    while (edge.length) {
      const next = [];
      for (const i of edge) for (let j = 0; j < n; j++) if (mask[i][j] && steps[j] === Infinity) { steps[j] = steps[i] + 1; next.push(j); }
      edge = next;
    }
    return steps;
  });
}

// The pairs that a straight stroke from one pair to another passes: a fast pointer reports only some of them.
export function stroke([i, j], [k, l]) {
  const steps = Math.max(Math.abs(k - i), Math.abs(l - j));
  return Array.from({ length: steps + 1 }, (_, s) => (steps === 0 ? [i, j]
    : [Math.round(i + ((k - i) * s) / steps), Math.round(j + ((l - j) * s) / steps)]));
}
