// The page never waits: model and pictures are the worker's.
const [form, status, output] = ['form', '[role=status]', 'output'].map((name) => document.querySelector(name));
const [picture, prompt, button] = form.elements;
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });

worker.onmessage = ({ data }) => {
  if (data.progress !== undefined)
    status.textContent = data.progress < 1 ? `Loading: ${Math.floor(100 * data.progress)} %` : 'Compiling shaders';
  if (data.piece !== undefined) output.textContent += data.piece;
  if (data.error !== undefined) status.textContent = data.error;
  if (data.idle) {
    if (data.error === undefined) status.textContent = 'Ready';
    button.disabled = false;
  }
};

form.onsubmit = (event) => {
  event.preventDefault();
  output.textContent = '';
  status.textContent = 'Answering';
  button.disabled = true;
  worker.postMessage({ image: picture.files[0], prompt: prompt.value });
};

const bundle = new URLSearchParams(location.search).get('bundle') ?? './bundle/';
worker.postMessage({ bundle: new URL(bundle, location.href).href });
