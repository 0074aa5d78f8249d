export { unwrapParams as bigVisionTree } from './big_vision.ts';
