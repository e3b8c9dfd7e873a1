// Positions in double precision: what attnbook.positions computes. A distance is the key's position minus the query's.

// Radians per position of each pair of components: base^(−2k/size)
export function frequencies(size, base) {
  return Array.from({ length: size / 2 }, (_, k) => base ** ((-2 * k) / size));
}

// Sines and cosines of position · frequency, by turns (Vaswani et al., 2017, Section 3.5)
export function sinusoidalRow(position, size, base) {
  return frequencies(size, base).flatMap((f) => [Math.sin(position * f), Math.cos(position * f)]);
}

// Pair k, components 2k and 2k + 1, turned by position · frequency counterclockwise (Su et al., 2024, Eq. 34)
export function rotaryTurn(vector, position, base) {
  return frequencies(vector.length, base).flatMap((f, k) => {
    const [a, b] = [vector[2 * k], vector[2 * k + 1]];
    const [cos, sin] = [Math.cos(position * f), Math.sin(position * f)];
    return [a * cos - b * sin, a * sin + b * cos];
  });
}

// 2^(−8/h), 2^(−16/h), … for h heads, h a power of two (Press et al., 2022, Section 3)
export function alibiSlopes(heads) {
  return Array.from({ length: heads }, (_, h) => 2 ** ((-8 * (h + 1)) / heads));
}

// The bucket of a distance in both directions (Raffel et al., 2020, and its code): half of the buckets for keys before
// the query, half for keys after; in each, single distances first, then ranges that widen by one factor
export function t5Bucket(distance, buckets, maxDistance) {
  const own = buckets / 2;
  const exact = Math.floor(own / 2);
  const r = Math.abs(distance);
  const first = distance > 0 ? own : 0;
  if (r < exact) return first + r;
  let bucket = exact;
  for (let b = 1; b < own - exact; b++) {
    // As a whole number, and cut a little: an edge that is one must not come out above itself for a rounding error.
    if (r >= Math.ceil(exact * (maxDistance / exact) ** (b / (own - exact)) * (1 - 1e-12))) bucket = exact + b;
  }
  return first + bucket;
}
