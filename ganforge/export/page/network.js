"use strict";
/* The generator: onnxruntime-web by WebAssembly on one thread, from files beside the page or from inside it. */

const Network = (() => {
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  /** A gzip-compressed, base64-encoded block of the page. */
  async function block(id) {
    const packed = bytesOf(document.getElementById(id).textContent.trim());
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function file(name) {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  class Generator {
    /** `shapes`: of each input by its name, without the batch. */
    constructor(session, shapes) {
      this.session = session;
      this.shapes = shapes;
      this.busy = Promise.resolve();
    }

    /** For each of n samples its inputs by name (Float32Array; of those that the network has) -> the samples, one
        after another. */
    run(inputs) {
      const turn = this.busy.then(() => this.now(inputs));
      this.busy = turn.catch(() => {});
      return turn;
    }

    async now(inputs) {
      const n = inputs.length;
      const feeds = {};
      for (const name of this.session.inputNames) {
        const shape = this.shapes[name];
        const width = shape.reduce((a, b) => a * b, 1);
        const data = new Float32Array(n * width);
        inputs.forEach((each, i) => data.set(each[name], i * width));
        feeds[name] = new ort.Tensor("float32", data, [n, ...shape]);
      }
      const started = performance.now();
      const { samples } = await this.session.run(feeds);
      const result = { data: samples.data, milliseconds: performance.now() - started };
      return result;
    }
  }

  async function open(shapes, inline) {
    ort.env.wasm.numThreads = 1;
    let model;
    if (inline) {
      const [module, binary, network] = await Promise.all([block("ort-module"), block("ort-binary"), block("network")]);
      ort.env.wasm.wasmBinary = binary;
      ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([module], { type: "text/javascript" })) };
      model = network;
    } else {
      const at = (name) => new URL(`runtime/${name}`, document.baseURI).href;
      ort.env.wasm.wasmPaths = {
        mjs: at("ort-wasm-simd-threaded.mjs"),
        wasm: at("ort-wasm-simd-threaded.wasm"),
      };
      model = await file("model.onnx");
    }
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return new Generator(session, shapes);
  }

  return { open };
})();
