"use strict";
/* Samples on canvases, and canvases as files. */

const Drawing = (() => {
  const GAP = 2;

  /** Sample i of floats in [-1, 1], [C, H, W], as pixels; clamped and rounded to even as Python does. */
  function pixels(data, i, [channels, height, width]) {
    const image = new ImageData(width, height);
    const area = width * height;
    const base = i * channels * area;
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < 3; c++) {
        const value = data[base + (channels < 3 ? 0 : c) * area + p];
        image.data[4 * p + c] = Math.fround(Math.fround(value + 1) * 127.5);
      }
      image.data[4 * p + 3] = channels === 4 ? Math.fround(Math.fround(data[base + 3 * area + p] + 1) * 127.5) : 255;
    }
    return image;
  }

  function show(canvas, data, i, shape) {
    canvas.width = shape[2];
    canvas.height = shape[1];
    canvas.getContext("2d").putImageData(pixels(data, i, shape), 0, 0);
  }

  /** Points [n, 2] as dots. */
  function scatter(canvas, data, color) {
    const side = (canvas.width = canvas.height = 720);
    const reach = data.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-9) * 1.1;
    const pen = canvas.getContext("2d");
    pen.fillStyle = color;
    pen.globalAlpha = 0.55;
    for (let i = 0; i < data.length; i += 2) {
      pen.beginPath();
      pen.arc(((data[i] / reach + 1) * side) / 2, ((1 - data[i + 1] / reach) * side) / 2, 4, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  /** Canvases of equal size in rows of `columns`, with white gaps, as in the grids of `ganforge sample`. */
  function sheet(canvases, columns) {
    const { width, height } = canvases[0];
    const across = Math.min(columns, canvases.length);
    const down = Math.ceil(canvases.length / across);
    const whole = document.createElement("canvas");
    whole.width = across * (width + GAP) - GAP;
    whole.height = down * (height + GAP) - GAP;
    const pen = whole.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, whole.width, whole.height);
    canvases.forEach((canvas, i) => {
      pen.drawImage(canvas, (i % across) * (width + GAP), Math.floor(i / across) * (height + GAP));
    });
    return whole;
  }

  function download(canvas, name) {
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, "image/png");
  }

  return { show, scatter, sheet, download };
})();
