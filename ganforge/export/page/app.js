"use strict";
/* The page: controls change the state, and the newest state is drawn as soon as the network is free. */

(async () => {
  const SAMPLES = 16;
  const STRIP = 8;
  const CLOUD = 1024;
  const by = (id) => document.getElementById(id);
  const model = JSON.parse(by("model").textContent);
  /** Where the slider of truncation ends, and there is none. */
  const OFF = model.truncation === "styles" ? 1 : 3;
  const flat = model.shape.length === 1;
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const golden = model.golden.map((each) => ({
    ...each,
    z: floats(each.z),
    truncated: each.truncated && floats(each.truncated),
  }));
  const source = new Latents.Source(model.prior, golden, floats(model.table));
  const codes = Latents.columns(model.prior);
  const state = State.read(location.hash, SAMPLES, codes, OFF);
  let network = null;

  by("name").textContent = document.title = model.name;
  by("facts").textContent = model.facts.join(" · ");
  for (const [term, text] of model.about) {
    by("about").append(Conditions.element("dt", "", term), Conditions.element("dd", "", text));
  }
  document.body.classList.toggle("small", !flat && model.shape[1] <= 256);

  const control = Conditions.control(model.condition, by("condition"), by("condition-note"), () => {
    state.point.condition = control.get();
    edited();
  });
  by("condition-card").hidden = model.condition.kind === "none";
  if (state.point.condition !== null) control.set(state.point.condition);
  state.point.condition = control.get();
  const codeControls = Codes.controls(codes, by("codes"), state.point, edited);
  by("codes-card").hidden = !codes.size;
  by("codes-reset").addEventListener("click", () => {
    state.point.codes = {};
    codeControls.show(state.point.codes);
    edited();
  });
  by("latent-card").hidden = !model.latent;
  by("seed-row").hidden = !source.seeded;
  by("truncation-row").hidden = !model.truncation;
  Object.assign(by("truncation"), OFF === 1 ? { min: 0.05, max: OFF, step: 0.05 } : { min: 0.2, max: OFF, step: 0.1 });
  by("index-row").hidden = flat;
  if (!source.seeded) by("latent-hint").textContent = `${source.rows} latents of the prior are stored in this page.`;
  if (!source.seeded) by("index").max = source.rows - 1;
  for (const id of ["views", "pin-a", "pin-b", "walk"]) by(id).hidden = flat || !model.latent;

  /* From a point to what the network takes. */

  function conditionOf(point) {
    if (point === state.point || model.condition.kind === "image") return control.value();
    const kept = control.get();
    control.set(point.condition ?? "");
    const value = control.value();
    control.set(kept);
    return value;
  }

  function latentOf(point, index = point.index) {
    let z = source.latent(point.seed, index);
    if (model.truncation === "latents" && point.truncation !== null) z = Latents.truncated(z, point.truncation);
    return Latents.withCodes(z, model.prior, point.codes);
  }

  const inputOf = (point, index) => ({
    z: latentOf(point, index),
    cond: conditionOf(point),
    truncation: Float32Array.of(point.truncation ?? 1),
  });

  function between(a, b, t) {
    return {
      z: Latents.between(a.z, b.z, t, model.prior.type),
      cond: a.cond && Latents.mixed(a.cond, b.cond, t),
      truncation: Latents.mixed(a.truncation, b.truncation, t),
    };
  }

  const samplesOf = async (inputs) => {
    const result = await network.run(inputs);
    timing(inputs.length, result.milliseconds);
    return result.data;
  };

  /* Drawing: one request at a time, and of those that arrive meanwhile only the last. */

  let wanted = false;
  let drawing = false;

  function draw() {
    wanted = true;
    if (!drawing && network) drawing = drawAll();
  }

  async function drawAll() {
    try {
      while (wanted) {
        wanted = false;
        await drawNow();
      }
    } catch (error) {
      failed(error);
    } finally {
      drawing = false;
    }
  }

  async function drawNow() {
    const { view, point } = state;
    if (flat) {
      const data = await samplesOf(Array.from({ length: CLOUD }, (_, i) => inputOf(point, i)));
      const color = getComputedStyle(document.body).getPropertyValue("--accent");
      Drawing.scatter(by("image"), data, color);
    } else if (view === "grid") {
      const data = await samplesOf(Array.from({ length: SAMPLES }, (_, i) => inputOf(point, i)));
      tiles.forEach((canvas, i) => Drawing.show(canvas, data, i, model.shape));
    } else if (view === "mix") {
      const [a, b] = [inputOf(state.a), inputOf(state.b)];
      const steps = Array.from({ length: STRIP }, (_, i) => between(a, b, i / (STRIP - 1)));
      const data = await samplesOf([between(a, b, state.mix), ...steps]);
      Drawing.show(by("image"), data, 0, model.shape);
      strip.forEach((canvas, i) => Drawing.show(canvas, data, i + 1, model.shape));
    } else {
      Drawing.show(by("image"), await samplesOf([inputOf(point)]), 0, model.shape);
    }
    document.body.dataset.drawn = Number(document.body.dataset.drawn || 0) + 1;
  }

  const tiles = Walk.canvases(by("tiles"), SAMPLES, {
    label: (i) => `Sample ${i + 1}`,
    act: (i) => ((state.point.index = i), look("one")),
  });
  const strip = Walk.canvases(by("strip"), STRIP, {
    label: (i) => `Step ${i + 1} of ${STRIP}`,
    act: (i) => ((state.mix = i / (STRIP - 1)), refresh()),
  });

  /* The controls show the state. */

  function refresh() {
    const { point, view } = state;
    for (const each of ["one", "grid", "mix"]) by(`view-${each}`).setAttribute("aria-pressed", String(each === view));
    by("view-mix").disabled = !(state.a && state.b);
    by("tiles").hidden = view !== "grid";
    by("image").hidden = view === "grid" || !network;
    by("mixing").hidden = view !== "mix";
    by("mix").value = state.mix;
    by("seed").value = point.seed;
    by("index").value = point.index;
    by("index-value").textContent = `${point.index + 1} of ${source.seeded ? SAMPLES : source.rows}`;
    by("truncation").value = point.truncation ?? OFF;
    by("truncation-value").textContent = point.truncation ?? "off";
    by("pin-a").classList.toggle("set", Boolean(state.a));
    by("pin-b").classList.toggle("set", Boolean(state.b));
    by("command").replaceChildren(...command().flatMap((part) => [Conditions.element("span", "", part), " "]).slice(0, -1));
    by("command-card").hidden = !source.seeded || view === "mix";
    try {
      history.replaceState(null, "", State.write(state));
    } catch {
      // A page that may not change its address keeps it.
    }
    draw();
  }

  function edited() {
    if (state.view === "mix") state.view = "one";
    refresh();
  }

  function look(view) {
    walking.stop();
    if (view === "mix" && !(state.a && state.b)) return;
    state.view = view;
    refresh();
  }

  /** As a shell takes it, in parts between which a line may break. */
  function command() {
    const { point } = state;
    const condition = control.text();
    const safe = `'${condition.replaceAll("'", `'\\''`)}'`;
    const n = flat ? CLOUD : !model.latent ? 1 : state.view === "grid" ? SAMPLES : Math.max(8, point.index + 1);
    return [
      `ganforge sample ${model.command}`,
      condition && `--condition ${safe}`,
      model.latent && `--seed ${point.seed}`,
      `--n ${n}`,
      model.truncation && point.truncation !== null && `--truncation ${point.truncation}`,
      ...Object.entries(point.codes).map(([name, value]) => `--code ${name}=${value}`),
    ].filter(Boolean);
  }

  function status(text) {
    by("status").textContent = text;
  }

  let first = null;
  function timing(n, milliseconds) {
    first ??= performance.now();
    const rate = (1000 * n) / milliseconds;
    document.body.dataset.first = first.toFixed(0);
    document.body.dataset.rate = rate.toFixed(1);
    const what = flat ? "points" : "images";
    status(`First ${what} after ${(first / 1000).toFixed(1)} s; now ${rate.toFixed(rate < 10 ? 1 : 0)} ${what} per second.`);
  }

  function failed(error) {
    by("loading").hidden = false;
    by("loading").classList.add("failed");
    by("loading-text").textContent = `The generator cannot run here: ${error.message || error}`;
  }

  const walking = Walk.between(by("walk"), async (index, t) => {
    const data = await samplesOf([between(inputOf(state.point, index), inputOf(state.point, index + 1), t)]);
    return () => Drawing.show(by("image"), data, 0, model.shape);
  }, failed);

  function walk() {
    if (walking.stop()) return refresh();
    look("one");
    walking.start(state.point.index);
  }

  /* What the user does. */

  async function copy(text, button, otherwise) {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = otherwise;
    }
    setTimeout(() => (button.textContent = label), 1500);
  }

  function save() {
    const { view, point } = state;
    const canvas = view === "grid" ? Drawing.sheet(tiles, 8) : by("image");
    const words = control.text().replace(/[^\w]+/g, "-").slice(0, 60);
    const name = [model.file, words, view === "mix" ? `mix-${state.mix}` : `seed-${point.seed}`];
    if (view === "one" && !flat) name.push(`sample-${point.index}`);
    Drawing.download(canvas, `${name.filter(Boolean).join("_")}.png`);
  }

  const pin = (name) => ((state[name] = structuredClone(state.point)), refresh());
  const dice = () => ((state.point.seed = Math.floor(Math.random() * 1e6)), edited());
  const pick = (index) => ((state.point.index = Math.min(Number(by("index").max), Math.max(0, index))), edited());
  const act = {
    "view-one": () => look("one"),
    "view-grid": () => look("grid"),
    "view-mix": () => look("mix"),
    "pin-a": () => pin("a"),
    "pin-b": () => pin("b"),
    walk,
    dice,
    download: save,
    link: () => copy(location.href, by("link"), "Copy it from the address bar"),
    "copy-command": () => copy(command().join(" "), by("copy-command"), "select it and copy"),
  };
  for (const [id, does] of Object.entries(act)) by(id).addEventListener("click", does);
  by("seed").addEventListener("input", () => {
    const seed = Number(by("seed").value);
    if (!Number.isSafeInteger(seed) || seed < 0 || by("seed").value === "") return;
    state.point.seed = seed;
    edited();
  });
  by("index").addEventListener("input", () => pick(Number(by("index").value)));
  by("truncation").addEventListener("input", () => {
    const limit = Number(by("truncation").value);
    state.point.truncation = limit < OFF ? limit : null;
    edited();
  });
  by("mix").addEventListener("input", () => ((state.mix = Number(by("mix").value)), refresh()));

  const keys = { r: "dice", a: "pin-a", b: "pin-b", w: "walk", d: "download", l: "link", 1: "view-one", 2: "view-grid", 3: "view-mix" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const id = keys[event.key.toLowerCase()];
    if (id && !by(id).disabled && !by(id).hidden) by(id).click();
    else if (event.key === "ArrowLeft") pick(state.point.index - 1);
    else if (event.key === "ArrowRight") pick(state.point.index + 1);
    else return;
    event.preventDefault();
  });

  try {
    network = await Network.open({ z: [model.prior.width], cond: model.condition_shape, truncation: [] }, model.inline);
    by("loading").hidden = true;
    refresh();
  } catch (error) {
    failed(error);
  }
})();
