import { describeOnWebgpu } from '../testing/webgpu_goldens.ts';

// Recorded by both original implementations. pg2-window has layers that lose sight of the picture.
describeOnWebgpu({ fixture: 'pg1-tiny', limit: 1e-4, withItself: true });
describeOnWebgpu({ fixture: 'pg2-tiny', limit: 1e-4, withItself: true });
describeOnWebgpu({ fixture: 'pg2-window', limit: 1e-4, withItself: false });
