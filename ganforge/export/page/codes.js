"use strict";
/* Interpretable codes (InfoGAN): buttons for the classes of one, a slider for a number; as drawn until they are set. */

const Codes = (() => {
  /** The range of the paper's figure 2. */
  const REACH = 2;

  function controls(codes, place, point, changed) {
    const shown = [];
    for (const [name, { kind, width }] of codes) {
      if (kind !== "categorical") {
        const { row, set } = Conditions.slider(name, REACH, 0, (x) => ((point.codes[name] = x), changed()));
        shown.push((values) => set(values[name] ?? 0, values[name] === undefined ? "as drawn" : undefined));
        place.append(row);
        continue;
      }
      const row = Conditions.element("div", "row");
      const group = Conditions.element("div", "names");
      const buttons = Array.from({ length: width }, (_, i) => {
        const button = Conditions.element("button", "toggle", String(i));
        button.type = "button";
        button.setAttribute("aria-label", `${name} = ${i}`);
        button.addEventListener("click", () => {
          if (point.codes[name] === i) delete point.codes[name];
          else point.codes[name] = i;
          show(point.codes);
          changed();
        });
        return button;
      });
      group.append(...buttons);
      row.append(Conditions.element("span", "", name), group);
      place.append(row);
      shown.push((values) =>
        buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(values[name] === i))),
      );
    }
    const show = (values) => shown.forEach((each) => each(values));
    show(point.codes);
    return { show };
  }

  return { controls };
})();
