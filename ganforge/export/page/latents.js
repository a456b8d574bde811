"use strict";
/* Latents of a run's prior: drawn as `ganforge sample` draws them, truncated, walked between. */

const Latents = (() => {
  /** The error function: a series near 0, a continued fraction far out (Abramowitz & Stegun, 7.1.6 and 7.1.14). */
  function upperTail(x) {
    if (x < 0) return 1 - upperTail(-x);
    const y = x / Math.SQRT2;
    if (y < 2.5) {
      let term = y;
      let sum = y;
      for (let k = 1; k < 60; k++) sum += term *= (2 * y * y) / (2 * k + 1);
      return 0.5 - (sum * Math.exp(-y * y)) / Math.sqrt(Math.PI);
    }
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = (k / 2) / (y + fraction);
    return Math.exp(-y * y) / (2 * Math.sqrt(Math.PI) * (y + fraction));
  }

  const share = (x) => 1 - upperTail(x);

  /** The x in [-limit, limit] with that share of the normal distribution below it, by safeguarded Newton steps. */
  function quantile(wanted, limit) {
    let low = -limit;
    let high = limit;
    let x = 0;
    for (let i = 0; i < 60; i++) {
      const off = share(x) - wanted;
      if (off > 0) high = x;
      else low = x;
      let next = x - off * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
      if (!(next > low && next < high)) next = (low + high) / 2;
      if (Math.abs(next - x) < 1e-12) return next;
      x = next;
    }
    return x;
  }

  /** Each number at the same quantile of the normal distribution cut off at `limit`. */
  function truncated(z, limit) {
    const tail = share(-limit);
    return z.map((x) => quantile(tail + share(x) * (1 - 2 * tail), limit));
  }

  const even = (rng, n) => Float32Array.from({ length: n }, () => rng.uniform() * 2 - 1);

  const drawn = {
    normal: (prior, rng) => rng.normals(prior.dim),
    uniform: (prior, rng) => even(rng, prior.dim),
    codes(prior, rng) {
      const z = new Float32Array(prior.width);
      z.set(even(rng, prior.dim));
      let at = prior.dim;
      for (const classes of prior.categorical) {
        z[at + (rng.next() % classes)] = 1;
        at += classes;
      }
      for (let i = 0; i < prior.continuous; i++) z.set(even(rng, 1), at + i);
      return z;
    },
  };

  /** Code name -> its first column and width in z. */
  function columns(prior) {
    const found = new Map();
    let at = prior.width - prior.codes.reduce((sum, code) => sum + code.width, 0);
    for (const code of prior.codes) {
      found.set(code.name, { ...code, at });
      at += code.width;
    }
    return found;
  }

  /** z with the codes that are set: a class, or a number. */
  function withCodes(z, prior, codes) {
    const out = z.slice();
    for (const [name, { at, width, kind }] of columns(prior)) {
      if (codes[name] === undefined) continue;
      if (kind === "categorical") out.fill(0, at, at + width)[at + codes[name]] = 1;
      else out.fill(codes[name], at, at + width);
    }
    return out;
  }

  const close = (a, b) => a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 1e-5);

  /** Draws by seed where this page computes the latents that Python did (`golden`), and from a table otherwise. */
  class Source {
    constructor(prior, golden, table) {
      this.prior = prior;
      const draw = drawn[prior.type];
      this.seeded =
        Boolean(draw) &&
        golden.every(({ seed, index, z, limit, truncated: cut }) => {
          const own = draw(prior, Rng.ofSample(seed, index));
          return close(own, z) && (!cut || close(truncated(own, limit), cut));
        });
      this.table = table;
    }

    get rows() {
      return this.table.length / this.prior.width;
    }

    /** Sample `index` of `seed`, [Z]. */
    latent(seed, index) {
      if (this.seeded) return drawn[this.prior.type](this.prior, Rng.ofSample(seed, index));
      const row = (seed + index) % this.rows;
      return this.table.slice(row * this.prior.width, (row + 1) * this.prior.width);
    }
  }

  const mixed = (a, b, t) => a.map((x, i) => x + (b[i] - x) * t);

  /** From a to b: along the great circle for normal latents, which stay as long as they are; straight otherwise. */
  function between(a, b, t, kind) {
    if (kind !== "normal") return mixed(a, b, t);
    const length = (x) => Math.sqrt(x.reduce((sum, y) => sum + y * y, 0));
    const cosine = a.reduce((sum, x, i) => sum + x * b[i], 0) / (length(a) * length(b) || 1);
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    if (Math.sin(angle) < 1e-4) return mixed(a, b, t);
    const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
    return a.map((x, i) => p * x + q * b[i]);
  }

  return { Source, truncated, withCodes, columns, between, mixed };
})();
