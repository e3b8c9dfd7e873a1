// What a layer costs, counted: attnbook.costs. n tokens, d their size, h heads, w keys in a window.

export const COST_FORMS = ["full", "fused", "window", "linear", "recurrent"];

// Multiply-adds of projections, and of scores and averages
export function layerOperations(form, n, d, h, w) {
  if (form === "recurrent") return { projections: 6 * n * d ** 2, attention: 0 };
  const attention = { full: 2 * n ** 2 * d, fused: 2 * n ** 2 * d, window: 2 * n * Math.min(w, n) * d, linear: 2 * n * d * (d / h) + n * d }[form];
  return { projections: 4 * n * d ** 2, attention };
}

// Numbers kept at one time: vectors, and what attention keeps beside them
export function layerMemory(form, n, d, h, w) {
  const attention = { full: h * n ** 2, fused: 2 * h * n, window: h * n * Math.min(w, n), linear: d * (d / h) + d, recurrent: d }[form];
  return { vectors: (form === "recurrent" ? 1 : 4) * n * d, attention };
}

// A measured ratio at length n, on straight lines between the logarithms; null outside of what was measured
export function measuredRatio(lengths, ratios, n) {
  const k = lengths.findIndex((length) => length >= n);
  if (k < 0 || n < lengths[0] || ratios[k] === null) return null;
  if (lengths[k] === n) return ratios[k];
  const t = Math.log(n / lengths[k - 1]) / Math.log(lengths[k] / lengths[k - 1]);
  return Math.exp((1 - t) * Math.log(ratios[k - 1]) + t * Math.log(ratios[k]));
}
