"use strict";
/* A condition that is a picture: dropped, chosen, pasted or drawn. It stays in the page, and out of links. */

const Picture = (() => {
  /** `size`: [C, H, W] of the condition. */
  function control([channels, height, width], place, changed) {
    const make = (tag, className, text) => Conditions.element(tag, className, text);
    const box = make("div", "drop");
    const canvas = make("canvas", "paper");
    Object.assign(canvas, { width, height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "The condition; draw on it with the pointer");
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const chooser = make("input");
    Object.assign(chooser, { type: "file", accept: "image/*", id: "condition-file", className: "file" });
    const label = make("label", "file-label", "Choose a picture");
    label.htmlFor = chooser.id;
    const ink = make("button", "toggle", "Ink: white");
    const clear = make("button", "toggle", "Clear");
    ink.type = clear.type = "button";
    const tools = make("div", "tools");
    tools.append(chooser, label, ink, clear);
    box.append(canvas, tools, make("p", "hint", `Drop or paste a picture, or draw. It is scaled to ${width}x${height}.`));
    place.append(box);

    let white = true;
    const fill = () => {
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, width, height);
    };
    fill();

    async function take(file) {
      if (!file || !file.type.startsWith("image/")) return;
      const bitmap = await createImageBitmap(file);
      // The middle, as large as fits.
      const side = Math.min(bitmap.width / width, bitmap.height / height);
      const [w, h] = [width * side, height * side];
      fill();
      pen.imageSmoothingQuality = "high";
      pen.drawImage(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, 0, 0, width, height);
      changed();
    }

    chooser.addEventListener("change", () => take(chooser.files[0]));
    box.addEventListener("dragover", (event) => (event.preventDefault(), box.classList.add("over")));
    box.addEventListener("dragleave", () => box.classList.remove("over"));
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      box.classList.remove("over");
      take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
    ink.addEventListener("click", () => {
      white = !white;
      ink.textContent = `Ink: ${white ? "white" : "black"}`;
    });
    clear.addEventListener("click", () => (fill(), changed()));

    let last = null;
    const spot = (event) => {
      const at = canvas.getBoundingClientRect();
      return [((event.clientX - at.left) / at.width) * width, ((event.clientY - at.top) / at.height) * height];
    };
    const stroke = (event) => {
      const [x, y] = spot(event);
      pen.strokeStyle = white ? "#fff" : "#000";
      pen.lineWidth = Math.max(1, width / 48);
      pen.lineCap = "round";
      pen.beginPath();
      pen.moveTo(...(last || [x, y]));
      pen.lineTo(x + 0.01, y);
      pen.stroke();
      last = [x, y];
      changed();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      stroke(event);
    });
    canvas.addEventListener("pointermove", (event) => last && stroke(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));

    function value() {
      const { data } = pen.getImageData(0, 0, width, height);
      const area = width * height;
      const out = new Float32Array(channels * area);
      for (let p = 0; p < area; p++) {
        const [r, g, b] = data.subarray(4 * p, 4 * p + 3);
        // Gray as in ITU-R 601, which Python's pictures use.
        const levels = channels === 1 ? [Math.round(0.299 * r + 0.587 * g + 0.114 * b)] : [r, g, b];
        levels.slice(0, channels).forEach((level, c) => (out[c * area + p] = level / 127.5 - 1));
      }
      return out;
    }

    return { value, text: () => "FILE.png", get: () => "", set: () => {} };
  }

  return { control };
})();
