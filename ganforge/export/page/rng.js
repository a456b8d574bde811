"use strict";
/* The random numbers of `ganforge sample`: a stream for each sample, seeded by BLAKE2b (RFC 7693) of its purpose,
   from the Mersenne Twister MT19937 (Matsumoto & Nishimura, 1998), as torch draws them on a CPU. */

const Rng = (() => {
  const MASK = (1n << 64n) - 1n;
  const IV = [
    0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
    0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
  ];
  const SIGMA = [
    "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "9057fe4bc1f3d682",
    "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
    "0123456789abcdef", "ea489fd61c02b753",
  ].map((row) => [...row].map((digit) => parseInt(digit, 16)));

  const rotated = (x, n) => ((x >> n) | (x << (64n - n))) & MASK;

  /** The first 8 bytes of BLAKE2b-64 of a short ASCII text (under 128 bytes), as one big-endian number. */
  function blake2b64(text) {
    const bytes = new TextEncoder().encode(text);
    const m = Array(16).fill(0n);
    bytes.forEach((byte, i) => (m[i >> 3] |= BigInt(byte) << BigInt(8 * (i & 7))));
    const h = [...IV];
    h[0] ^= 0x01010000n ^ 8n;
    const v = [...h, ...IV];
    v[12] ^= BigInt(bytes.length);
    v[14] ^= MASK;
    const mix = (a, b, c, d, x, y) => {
      v[a] = (v[a] + v[b] + x) & MASK;
      v[d] = rotated(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & MASK;
      v[b] = rotated(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + y) & MASK;
      v[d] = rotated(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & MASK;
      v[b] = rotated(v[b] ^ v[c], 63n);
    };
    for (const s of SIGMA) {
      for (let i = 0; i < 4; i++) mix(i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
      for (let i = 0; i < 4; i++) {
        mix(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3), m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
      }
    }
    const first = h[0] ^ v[0] ^ v[8];
    let reversed = 0n;
    for (let i = 0n; i < 8n; i++) reversed = (reversed << 8n) | ((first >> (8n * i)) & 255n);
    return reversed;
  }

  /** A generator of 32-bit integers. */
  class Twister {
    constructor(seed) {
      this.state = new Uint32Array(624);
      this.state[0] = seed >>> 0;
      for (let i = 1; i < 624; i++) {
        const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
        this.state[i] = Math.imul(1812433253, before) + i;
      }
      this.at = 624;
      this.spare = null;
    }

    next() {
      const s = this.state;
      if (this.at === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
          s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        this.at = 0;
      }
      let y = s[this.at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }

    /** A float32 in [0, 1): 24 bits. */
    uniform() {
      return (this.next() & 0xffffff) / 16777216;
    }

    /** A float64 in [0, 1): 53 bits of two integers. */
    wide() {
      const high = this.next();
      return ((high & 0x1fffff) * 4294967296 + this.next()) / 9007199254740992;
    }

    /** n standard normal numbers, by Box and Muller (1958): sixteen at once, or one by one if there are fewer. */
    normals(n) {
      const out = new Float32Array(n);
      if (n < 16) {
        for (let i = 0; i < n; i++) out[i] = this.one();
        return out;
      }
      for (let i = 0; i < n; i++) out[i] = this.uniform();
      for (let start = 0; start + 16 <= n; start += 16) pairs(out, start);
      if (n % 16) {
        for (let i = n - 16; i < n; i++) out[i] = this.uniform();
        pairs(out, n - 16);
      }
      return out;
    }

    one() {
      if (this.spare !== null) {
        const kept = this.spare;
        this.spare = null;
        return kept;
      }
      const angle = 2 * Math.PI * this.wide();
      const radius = Math.sqrt(-2 * Math.log1p(-this.wide()));
      this.spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    }
  }

  function pairs(out, start) {
    for (let i = start; i < start + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - out[i]));
      const angle = 2 * Math.PI * out[i + 8];
      out[i] = radius * Math.cos(angle);
      out[i + 8] = radius * Math.sin(angle);
    }
  }

  /** The stream of sample `index` of `seed`; torch's twister takes the low 32 bits of a seed. */
  function ofSample(seed, index) {
    return new Twister(Number((blake2b64(`${seed}/sample/${index}`) >> 1n) & 0xffffffffn));
  }

  return { blake2b64, ofSample };
})();
