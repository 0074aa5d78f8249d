import { createElement as h, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { usePgconv } from './use_pgconv.js';

function Asking({ bundle }) {
  const { status, progress, text, error, ask } = usePgconv(bundle);
  const [picture, setPicture] = useState();
  const [prompt, setPrompt] = useState('caption en');
  const submit = (event) => {
    event.preventDefault();
    ask(picture, prompt);
  };
  return h(
    'form',
    { onSubmit: submit },
    h('input', {
      type: 'file',
      accept: 'image/*',
      'aria-label': 'picture',
      onChange: (e) => setPicture(e.target.files[0]),
    }),
    h('input', { value: prompt, 'aria-label': 'prompt', onChange: (e) => setPrompt(e.target.value) }),
    h('button', { disabled: status !== 'ready' || !picture }, 'Ask'),
    h('p', { role: 'status' }, error ?? (status === 'loading' ? `loading: ${Math.floor(100 * progress)} %` : status)),
    h('output', null, text),
  );
}

const bundle = new URLSearchParams(location.search).get('bundle') ?? './bundle/';
createRoot(document.getElementById('root')).render(h(Asking, { bundle: new URL(bundle, location.href).href }));
