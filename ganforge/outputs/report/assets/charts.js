"use strict";
// Draws the curves with uPlot: linked cursor and zoom, log scale, bands, colors that follow the theme.
(() => {
  document.documentElement.classList.add("js");
  const source = document.getElementById("curves-data");
  if (!source || typeof uPlot === "undefined") return;
  const { plots, light, dark, dashes } = JSON.parse(source.textContent);
  const night = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();
  let zoom = null;
  let zooming = false;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => (night.matches ? dark : light);

  // 800000 -> 800k: full numbers collide on the axis.
  function short(value) {
    if (value === null || value === undefined || !isFinite(value)) return "";
    const size = Math.abs(value);
    for (const [unit, sign] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= unit) return `${+(value / unit).toPrecision(4)}${sign}`;
    }
    if (size !== 0 && size < 1e-3) return value.toExponential(1).replace("e-", "e−");
    return String(+value.toPrecision(4));
  }
  const exact = (value) => (value === null || value === undefined ? "–" : String(+value.toPrecision(5)));

  // One table of x for all curves of a plot; a band is two more curves, a cloud of points one more.
  function assemble(plot, log) {
    const tables = [];
    const series = [];
    const bands = [];
    const positive = (values) => values.map((v) => (log && v !== null && v <= 0 ? null : v));
    for (const entry of plot.series) {
      const color = () => palette()[entry.color % palette().length];
      const [xs, ys] = entry.curve;
      tables.push([xs, positive(ys)]);
      series.push({ label: entry.label, stroke: color, width: 1.6, dash: dashes[entry.dash],
        value: (u, v) => exact(v), points: { show: xs.length < 40, size: 5, fill: color } });
      const at = series.length;
      if (entry.points) {
        tables.push([entry.points[0], positive(entry.points[1])]);
        series.push({ label: `${entry.label} (rows)`, class: "u-hidden-row", stroke: "transparent", width: 0,
          paths: () => null, points: { show: true, size: 3, stroke: color, fill: color, width: 0 } });
      }
      if (entry.band) {
        const spread = new Map(entry.band[0].map((x, i) => [x, entry.band[1][i]]));
        for (const sign of [1, -1]) {
          const edge = xs.map((x, i) => (ys[i] === null || spread.get(x) == null ? null : ys[i] + sign * spread.get(x)));
          tables.push([xs, positive(edge)]);
          series.push({ label: `${entry.label} ± sd`, class: "u-hidden-row", stroke: "transparent", width: 0,
            points: { show: false } });
        }
        bands.push({ series: [series.length - 1, series.length], fill: () => `${color()}33` });
        series[at - 1].label += " (band: ± standard deviation)";
      }
    }
    return { data: uPlot.join(tables), series, bands };
  }

  function draw(plot, log) {
    const box = document.getElementById(plot.id);
    const before = drawn.get(plot.id);
    if (before) before.destroy();
    const { data, series, bands } = assemble(plot, log);
    const axis = { stroke: () => css("--soft"), font: "12px system-ui, sans-serif",
      grid: { stroke: () => css("--line"), width: 1 }, ticks: { stroke: () => css("--line"), width: 1 } };
    const y = log ? { distr: 3 } : plot.bounds ? { range: [-0.02, 1.02] } : {};
    const chart = new uPlot({
      width: Math.max(200, box.clientWidth), height: 260,
      scales: { x: { time: false }, y },
      axes: [
        { ...axis, label: "images seen", labelFont: "12px system-ui, sans-serif", labelSize: 18, space: 60,
          values: (u, ticks) => ticks.map(short) },
        { ...axis, label: plot.unit, labelFont: "12px system-ui, sans-serif", labelSize: 18, size: 66,
          values: (u, ticks) => ticks.map(short) },
      ],
      series: [{ label: "images seen", value: (u, v) => (v === null ? "–" : v.toLocaleString("en")) }, ...series],
      bands,
      legend: { markers: { width: 2, dash: (u, i) => (u.series[i].dash || []).length ? "dashed" : "solid" } },
      cursor: { sync: { key: "report" }, drag: { x: true, y: false }, focus: { prox: 24 } },
      focus: { alpha: 0.35 },
      hooks: { setScale: [(u, key) => key === "x" && follow(u)] },
    }, data, box);
    drawn.set(plot.id, chart);
    if (zoom) chart.setScale("x", zoom);
  }

  // A zoom in one chart is a zoom in all; the whole range is none.
  function follow(chart) {
    if (zooming || !drawn.size) return;
    const { min, max } = chart.scales.x;
    const xs = chart.data[0];
    zoom = min <= xs[0] && max >= xs[xs.length - 1] ? null : { min, max };
    zooming = true;
    for (const other of drawn.values()) {
      const all = other.data[0];
      if (other !== chart) other.setScale("x", zoom || { min: all[0], max: all[all.length - 1] });
    }
    zooming = false;
  }
  function reset() {
    zoom = null;
    zooming = true;
    for (const chart of drawn.values()) chart.setScale("x", { min: chart.data[0][0], max: chart.data[0].at(-1) });
    zooming = false;
  }

  const logs = new Map(plots.map((plot) => [plot.id, plot.log]));
  const redraw = () => plots.forEach((plot) => draw(plot, logs.get(plot.id)));
  redraw();
  // The legend keeps the colors it was made with, so a change of theme draws everything again.
  night.addEventListener("change", redraw);

  for (const button of document.querySelectorAll("button.log")) {
    const plot = plots.find((each) => each.id === button.dataset.plot);
    button.setAttribute("aria-pressed", String(plot.log));
    if (!plot.positive || plot.bounds) button.hidden = true;
    button.addEventListener("click", () => {
      logs.set(plot.id, !logs.get(plot.id));
      button.setAttribute("aria-pressed", String(logs.get(plot.id)));
      draw(plot, logs.get(plot.id));
    });
  }

  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const chart = drawn.get(target.id);
      const width = Math.floor(contentRect.width);
      if (chart && width > 0 && width !== chart.width) chart.setSize({ width, height: chart.height });
    }
  });
  for (const plot of plots) {
    const box = document.getElementById(plot.id);
    resized.observe(box);
    box.addEventListener("keydown", (event) => {
      const chart = drawn.get(plot.id);
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") return reset();
      if (!step) return;
      event.preventDefault();
      const xs = chart.data[0];
      const at = chart.cursor.idx === null || chart.cursor.idx === undefined ? (step > 0 ? -1 : xs.length) : chart.cursor.idx;
      const next = Math.min(xs.length - 1, Math.max(0, at + step));
      // The last argument moves the cursor of the other charts, too.
      chart.setCursor({ left: chart.valToPos(xs[next], "x"), top: 20 }, true, true);
    });
    box.addEventListener("dblclick", reset);
  }
})();
