/** Help on `withAdapters`. */
export const ADAPTER_HELP = `
--adapter names a PEFT folder (adapter_config.json, adapter_model.safetensors), a folder
with one such below it (checkpoint-100), or a Hub id in the local cache: LoRA, rsLoRA or
DoRA, with rank and alpha patterns, modules_to_save and biases; given again, the next is
merged on top. It is merged in f32 as the weights stream by, and what the bundle is
compared with is the adapted model. --adapter-scale, once for each adapter in the same
order, weakens or strengthens it.`;
