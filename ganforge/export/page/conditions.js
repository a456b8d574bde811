"use strict";
/* The controls of a condition: toggles, buttons, sliders or a picture, by the kind of its labels. A control has
   `value()` (Float32Array, or null), `text()` for the command line, `get()` and `set(text)` for a link. */

const Conditions = (() => {
  const COLORS = {
    gray: "#8a8d91", grey: "#8a8d91", red: "#c93030", blue: "#2f54dd", green: "#2c8a2a", brown: "#8b5427",
    purple: "#8f35d0", cyan: "#27c4c9", yellow: "#f2d62c", orange: "#ec8627", pink: "#ec7ab8", white: "#f4f4f4",
    black: "#26282b",
  };
  const SHAPES = ["cube", "sphere", "cylinder"];
  const MANY = 24;
  const SVG = "http://www.w3.org/2000/svg";

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function drawing(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  /** A solid of one color: its faces lighter or darker. */
  function solid(shape, color) {
    const svg = drawing("svg", { viewBox: "0 0 40 40", "aria-hidden": "true" });
    const add = (tag, fill, attributes) => svg.append(drawing(tag, { fill, ...attributes }));
    const [light, dark] = ["rgba(255,255,255,.38)", "rgba(0,0,0,.28)"];
    add("ellipse", "rgba(0,0,0,.16)", { cx: 21, cy: 35, rx: 14, ry: 2.6 });
    if (shape === "cube") {
      add("path", color, { d: "M20 4 34 11V27L20 35 6 27V11Z" });
      add("path", light, { d: "M20 4 34 11 20 18 6 11Z" });
      add("path", dark, { d: "M20 18 34 11V27L20 35Z" });
    } else if (shape === "sphere") {
      add("circle", color, { cx: 20, cy: 20, r: 15.5 });
      add("path", dark, { d: "M34.5 14.5A15.5 15.5 0 0 1 7 28.500A18 18 0 0 0 34.5 14.500Z" });
      add("ellipse", light, { cx: 14.5, cy: 13, rx: 5.5, ry: 4.2 });
    } else {
      add("path", color, { d: "M7 9.500V30A13 4.600 0 0 0 33 30V9.500Z" });
      add("path", dark, { d: "M23 14.300V34.500A13 4.600 0 0 0 33 30V9.500A13 4.600 0 0 1 23 14.300Z" });
      add("ellipse", color, { cx: 20, cy: 9.5, rx: 13, ry: 4.6 });
      add("ellipse", light, { cx: 20, cy: 9.5, rx: 13, ry: 4.6 });
    }
    return svg;
  }

  /** [color, shape] of each name such as "red cube"; null if a name is another. */
  function objects(names) {
    const found = names.map((name) => name.split(" "));
    const known = ([color, shape, more]) => COLORS[color] && SHAPES.includes(shape) && more === undefined;
    return found.length && found.every(known) ? found : null;
  }

  function toggle(name, looks) {
    const button = element("button", `toggle ${looks ? "solid" : ""}`);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    if (looks) {
      button.append(solid(looks[1], COLORS[looks[0]]));
      button.setAttribute("aria-label", name);
      button.title = name;
    } else button.textContent = name;
    return button;
  }

  const quoted = (name) => (/[",]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

  /** The names in a list as the command line takes it; quotes protect commas. */
  function named(text) {
    const found = text.match(/\s*("(?:[^"]|"")*"|[^,]+)\s*(?:,|$)/g) || [];
    return found.map((part) => part.replace(/,$/, "").trim().replace(/^"(.*)"$/s, "$1").replaceAll('""', '"'));
  }

  /** Toggles, of which at most `most` are on; exactly one if `single`. */
  function names(labels, place, note, changed) {
    const single = labels.kind === "one_of_k";
    const most = single ? 1 : (labels.most ?? labels.names.length);
    const looks = objects(labels.names);
    const on = new Set();
    const buttons = labels.names.map((name, i) => toggle(name, looks && looks[i]));
    const searching = !looks && labels.names.length > MANY;
    place.className = looks ? "objects" : "names";
    if (searching) place.append(searchBox(buttons));
    const order = looks
      ? [...labels.names.keys()].sort((a, b) => rank(looks[a], looks) - rank(looks[b], looks))
      : labels.names.keys();
    for (const i of order) place.append(buttons[i]);

    function refresh() {
      buttons.forEach((button, i) => {
        button.setAttribute("aria-pressed", String(on.has(i)));
        button.disabled = !single && !on.has(i) && on.size >= most;
      });
      const limit = most < labels.names.length ? ` of at most ${most}` : "";
      note.textContent = single ? "" : `${on.size}${limit} chosen`;
    }

    buttons.forEach((button, i) =>
      button.addEventListener("click", () => {
        if (single) on.clear();
        if (on.has(i)) on.delete(i);
        else on.add(i);
        refresh();
        changed();
      }),
    );
    const control = {
      value: () => Float32Array.from(labels.names, (_, i) => (on.has(i) ? 1 : 0)),
      text: () => [...on].sort((a, b) => a - b).map((i) => quoted(labels.names[i])).join(", "),
      get: () => control.text(),
      set(text) {
        on.clear();
        for (const name of named(text)) {
          const i = labels.names.indexOf(name);
          if (i >= 0 && on.size < most) on.add(i);
        }
        if (single && !on.size) on.add(0);
        refresh();
      },
    };
    const start = looks ? ["red cube", "blue sphere"].filter((name) => labels.names.includes(name)) : [];
    const first = labels.names.slice(0, Math.max(single ? 1 : 0, labels.least));
    control.set((start.length > 1 && most > 1 ? start : first).map(quoted).join(", "));
    return control;
  }

  /** Rows by color in the order of their first appearance, columns by shape. */
  function rank([color, shape], all) {
    return all.findIndex(([other]) => other === color) * SHAPES.length + SHAPES.indexOf(shape);
  }

  function searchBox(buttons) {
    const box = element("input", "search");
    box.type = "search";
    box.placeholder = "Find a label";
    box.setAttribute("aria-label", "Find a label");
    box.addEventListener("input", () => {
      for (const button of buttons) {
        button.hidden = !button.textContent.toLowerCase().includes(box.value.trim().toLowerCase());
      }
    });
    return box;
  }

  /** A row with a slider and its number. */
  function slider(name, reach, value, moved) {
    const row = element("label", "row");
    const input = element("input");
    Object.assign(input, { type: "range", min: -reach, max: reach, step: 0.01, value });
    const shown = element("output", "", Number(value).toFixed(2));
    input.addEventListener("input", () => {
      shown.textContent = Number(input.value).toFixed(2);
      moved(Number(input.value));
    });
    row.append(element("span", "", name), input, shown);
    return { row, set: (x, text) => ((input.value = x), (shown.textContent = text ?? Number(x).toFixed(2))) };
  }

  function vector(labels, place, note, changed) {
    const numbers = new Float32Array(labels.names.length);
    const sliders = labels.names.map((name, i) => slider(name, 3, 0, (x) => ((numbers[i] = x), changed())));
    place.append(...sliders.map(({ row }) => row));
    return {
      value: () => numbers.slice(),
      text: () => [...numbers].map((x) => String(Number(x.toFixed(2)))).join(", "),
      get() {
        return this.text();
      },
      set(text) {
        text.split(",").forEach((part, i) => {
          if (i < numbers.length && Number.isFinite(Number(part))) sliders[i].set((numbers[i] = Number(part)));
        });
      },
    };
  }

  function none() {
    return { value: () => null, text: () => "", get: () => "", set: () => {} };
  }

  /** The control for these labels, in `place`; `changed` is called after each change by the user. */
  function control(labels, place, note, changed) {
    if (labels.kind === "none") return none();
    if (labels.kind === "vector") return vector(labels, place, note, changed);
    if (labels.kind === "image") return Picture.control(labels.size, place, changed);
    return names(labels, place, note, changed);
  }

  return { control, element, slider };
})();
