import { load } from 'pgconv/runtime';

let model;

onmessage = async ({ data: { bundle, image, prompt } }) => {
  try {
    if (bundle) {
      const onProgress = ({ loaded, total }) => postMessage({ progress: loaded / total });
      model = await load(bundle, { onProgress });
    } else {
      for await (const piece of model.generate({ image, prompt })) postMessage({ piece });
    }
    postMessage({ idle: true });
  } catch (error) {
    // what failed to load cannot be asked
    postMessage({ error: error.message, idle: model !== undefined });
  }
};
