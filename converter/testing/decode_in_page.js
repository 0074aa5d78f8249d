// Greedy decoding in a page with onnxruntime-web alone. Plain JavaScript: it is served as it is, and Chromium loads it.
// Sessions may place nodes on WebGPU or WebAssembly, as a user's would; dispatches to the GPU are counted.

const int64 = (ort, values, dims) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);

/** ids: one prompt with image tokens first; pixels: its image, [3, size, size]. Returns `steps` tokens. */
export async function decode({ names, ids, pixels, imageSize, imageTokenId, steps }) {
  let dispatches = 0;
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...args) {
    dispatches++;
    return dispatch.apply(this, args);
  };
  const ort = await import('/ort/ort.webgpu.min.mjs');
  ort.env.wasm.wasmPaths = '/ort/';
  const adapter = await navigator.gpu.requestAdapter();
  const open = (name) =>
    ort.InferenceSession.create(`/bundle/onnx/${name}.onnx`, {
      executionProviders: ['webgpu'],
      externalData: [{ path: `${name}.onnx_data`, data: `/bundle/onnx/${name}.onnx_data` }],
    });
  const vision = await open(names.vision);
  const embed = await open(names.embed);
  const decoder = await open(names.decoder);
  const { image_features: features } = await vision.run({
    pixel_values: new ort.Tensor('float32', Float32Array.from(pixels), [1, 3, imageSize, imageSize]),
  });

  const merged = async (tokens) => {
    const { inputs_embeds: embeds } = await embed.run({ input_ids: int64(ort, tokens, [1, tokens.length]) });
    const width = embeds.dims[2];
    tokens.forEach((token, i) => {
      const place = tokens.slice(0, i).filter((other) => other === imageTokenId).length;
      if (token === imageTokenId)
        embeds.data.set(features.data.subarray(place * width, (place + 1) * width), i * width);
    });
    return embeds;
  };

  const cached = decoder.inputNames.filter((name) => name.startsWith('past_key_values.'));
  const { shape } = decoder.inputMetadata.find((port) => port.name === cached[0]);
  let cache = Object.fromEntries(
    cached.map((name) => [name, new ort.Tensor('float32', new Float32Array(0), [1, shape[1], 0, shape[3]])]),
  );
  const answer = [];
  let tokens = ids;
  for (let length = 0; answer.length < steps;) {
    length += tokens.length;
    const results = await decoder.run({
      inputs_embeds: await merged(tokens),
      attention_mask: int64(ort, Array(length).fill(1), [1, length]),
      position_ids: int64(
        ort,
        tokens.map((_, i) => length - tokens.length + i + 1),
        [1, tokens.length],
      ),
      num_logits_to_keep: int64(ort, [1], []),
      ...cache,
    });
    cache = Object.fromEntries(cached.map((name) => [name, results[name.replace('past_key_values', 'present')]]));
    const logits = Array.from(results.logits.data);
    tokens = [logits.indexOf(Math.max(...logits))];
    answer.push(tokens[0]);
  }
  return { adapter: adapter.info.architecture, dispatches, answer };
}
