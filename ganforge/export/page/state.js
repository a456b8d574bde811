"use strict";
/* What the page shows, and the fragment of a link that restores it. */

const State = (() => {
  const VIEWS = ["one", "grid", "mix"];
  const whole = (text, low, high, other) => {
    const number = Number(text);
    return text !== null && text !== "" && Number.isInteger(number) && number >= low && number <= high ? number : other;
  };

  /** A point that can be pinned: seed, sample, truncation, codes and condition. */
  function fresh() {
    return { seed: 0, index: 0, truncation: null, codes: {}, condition: null };
  }

  function pointParts(point) {
    const parts = new URLSearchParams({ seed: point.seed, sample: point.index });
    if (point.truncation !== null) parts.set("truncation", point.truncation);
    if (point.condition) parts.set("condition", point.condition);
    for (const [name, value] of Object.entries(point.codes)) parts.set(`code.${name}`, value);
    return parts;
  }

  /** A point from its parts; anything damaged is left at its default. `codes`: name -> {kind, width};
      `off`: the truncation that is none. */
  function pointOf(parts, samples, codes, off) {
    const point = fresh();
    point.seed = whole(parts.get("seed"), 0, Number.MAX_SAFE_INTEGER, 0);
    point.index = whole(parts.get("sample"), 0, samples - 1, 0);
    const limit = Number(parts.get("truncation"));
    point.truncation = limit > 0 && limit < off ? limit : null;
    point.condition = parts.get("condition");
    for (const [name, { kind, width }] of codes) {
      const text = parts.get(`code.${name}`);
      if (text === null || text === "") continue;
      const value = kind === "categorical" ? whole(text, 0, width - 1, undefined) : Number(text);
      if (Number.isFinite(value)) point.codes[name] = value;
    }
    return point;
  }

  function write({ point, view, a, b, mix }) {
    const parts = pointParts(point);
    if (view !== "one") parts.set("view", view);
    if (a) parts.set("a", pointParts(a));
    if (b) parts.set("b", pointParts(b));
    if (view === "mix") parts.set("mix", mix);
    return `#${parts}`;
  }

  function read(fragment, samples, codes, off) {
    const parts = new URLSearchParams(fragment.replace(/^#/, ""));
    const pinned = (name) => (parts.get(name) ? pointOf(new URLSearchParams(parts.get(name)), samples, codes, off) : null);
    const [a, b] = [pinned("a"), pinned("b")];
    const view = VIEWS.includes(parts.get("view")) ? parts.get("view") : "one";
    const mix = Number(parts.get("mix") ?? 0.5);
    return {
      point: pointOf(parts, samples, codes, off),
      view: view === "mix" && !(a && b) ? "one" : view,
      a,
      b,
      mix: mix >= 0 && mix <= 1 ? mix : 0.5,
    };
  }

  return { fresh, read, write };
})();
