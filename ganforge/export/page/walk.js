"use strict";
/* The walk from latent to latent without end, and rows of small canvases. */

const Walk = (() => {
  /** From one sample to the next, in milliseconds. */
  const SEGMENT = 1600;

  /** `frame(index, t)`: computes the picture at t (0 to 1) between samples `index` and `index + 1`, and returns what
      draws it. `failed` is called with an error. */
  function between(button, frame, failed) {
    let current = null;

    function stop() {
      if (!current) return false;
      current = null;
      button.setAttribute("aria-pressed", "false");
      button.textContent = "Walk";
      return true;
    }

    function start(from) {
      const mine = (current = { began: performance.now() });
      button.setAttribute("aria-pressed", "true");
      button.textContent = "Stop";
      const step = async () => {
        const way = (performance.now() - mine.began) / SEGMENT;
        try {
          const draw = await frame(from + Math.floor(way), (1 - Math.cos(Math.PI * (way % 1))) / 2);
          if (current !== mine) return;
          draw();
          requestAnimationFrame(step);
        } catch (error) {
          stop();
          failed(error);
        }
      };
      requestAnimationFrame(step);
    }

    return { start, stop };
  }

  /** `count` canvases in buttons; `clicked.label(i)` names one, `clicked.act(i)` is what a click does. */
  function canvases(place, count, clicked) {
    return Array.from({ length: count }, (_, i) => {
      const button = Conditions.element("button", "tile");
      button.type = "button";
      button.setAttribute("aria-label", clicked.label(i));
      const canvas = document.createElement("canvas");
      button.append(canvas);
      button.addEventListener("click", () => clicked.act(i));
      place.append(button);
      return canvas;
    });
  }

  return { between, canvases };
})();
