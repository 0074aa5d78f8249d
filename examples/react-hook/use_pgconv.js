import { useCallback, useEffect, useRef, useState } from 'react';

const START = { status: 'loading', progress: 0, text: '', error: undefined };

/**
 * A bundle in a worker: `status` is loading, ready, answering or failed; `text` grows while it answers; `ask(image,
 * prompt)` asks. The worker ends with the component.
 */
export function usePgconv(bundle) {
  const [state, setState] = useState(START);
  const worker = useRef();

  useEffect(() => {
    const own = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    worker.current = own;
    setState(START);
    own.onmessage = ({ data }) =>
      setState((before) => ({
        status: data.status ?? before.status,
        progress: data.progress ?? before.progress,
        text: data.piece === undefined ? before.text : before.text + data.piece,
        error: data.error,
      }));
    own.postMessage({ bundle });
    return () => own.terminate();
  }, [bundle]);

  const ask = useCallback((image, prompt) => {
    setState((before) => ({ ...before, status: 'answering', text: '', error: undefined }));
    worker.current.postMessage({ image, prompt });
  }, []);

  return { ...state, ask };
}
