import { expect, test } from 'vitest';
import { blendMask } from './blend_mask.ts';
import { colorsOf, inkOn } from './colors.ts';
import { drawObjects, type DrawingContext } from './draw_objects.ts';

/** A canvas of grey pixels that writes down what is drawn. */
function canvasOf(width: number, height: number) {
  const pixels = new Uint8ClampedArray(width * height * 4).fill(100);
  const drawn: string[] = [];
  const at = (x: number, y: number, row: number, columns: number) => {
    const begin = ((y + row) * width + x) * 4;
    return [begin, begin + columns * 4] as const;
  };
  let depth = 0;
  const context: DrawingContext = {
    canvas: { width, height },
    fillStyle: '',
    strokeStyle: '',
    lineWidth: 0,
    font: '',
    textBaseline: '',
    save: () => void depth++,
    restore: () => void depth--,
    resetTransform: () => {},
    strokeRect(...place) {
      drawn.push(`frame ${place.join(' ')} ${String(this.strokeStyle)}`);
    },
    fillRect() {
      drawn.push(`plate ${String(this.fillStyle)}`);
    },
    fillText(text) {
      drawn.push(`name ${text} ${String(this.fillStyle)}`);
    },
    measureText: (text) => ({ width: 6 * text.length }),
    getImageData(x, y, columns, rows) {
      const data = new Uint8ClampedArray(columns * rows * 4);
      for (let row = 0; row < rows; row++) data.set(pixels.subarray(...at(x, y, row, columns)), row * columns * 4);
      return { data, width: columns, height: rows };
    },
    putImageData(image: { data: Uint8ClampedArray; width: number; height: number }, x, y) {
      for (let row = 0; row < image.height; row++)
        pixels.set(image.data.subarray(row * image.width * 4, (row + 1) * image.width * 4), at(x, y, row, 0)[0]);
    },
  };
  const pixel = (x: number, y: number) => [...pixels.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)];
  return { context, drawn, pixel, depth: () => depth };
}

test('masks are blended within their boxes, then come frames, then names', () => {
  const { context, drawn, pixel, depth } = canvasOf(200, 100);
  const mask = new Float32Array(64 * 64).fill(1);
  const box = { y0: 512, x0: 512, y1: 1023, x1: 1023 };
  drawObjects(context, [
    { box, name: 'cat', mask },
    { box: { y0: 0, x0: 0, y1: 511, x1: 511 }, name: 'dog\u202e\n' },
  ]);
  expect(pixel(150, 75)).toEqual([165, 130, 50, 100]);
  expect(pixel(50, 25)).toEqual([100, 100, 100, 100]);
  expect(drawn).toEqual([
    'frame 100.5 50.5 99 49 #e69f00',
    'frame 0.5 0.5 98 48 #56b4e9',
    'plate #e69f00',
    'name cat #000',
    'plate #56b4e9',
    'name dog #000',
  ]);
  expect(depth()).toBe(0);
});

test('a mask of another size is refused, and the state of the canvas is given back', () => {
  const { context, depth } = canvasOf(20, 20);
  const box = { y0: 0, x0: 0, y1: 1023, x1: 1023 };
  expect(() => drawObjects(context, [{ box, name: '', mask: [1, 2] }])).toThrow(RangeError);
  expect(depth()).toBe(0);
});

test('a mask that is there in part colours in part; alpha stays', () => {
  const rgba = Uint8Array.from([0, 0, 0, 9, 0, 0, 0, 9]);
  blendMask(rgba, [0.5, 0], { color: '#ff8000', opacity: 1 });
  expect([...rgba]).toEqual([128, 64, 0, 9, 0, 0, 0, 9]);
  const rgb = Uint8Array.from([10, 20, 30]);
  blendMask(rgb, [1], { color: '#ffffff', opacity: 0.5, channels: 3 });
  expect([...rgb]).toEqual([133, 138, 143]);
});

test('one name, one colour; without a name each has its own', () => {
  const [cat, dog, again, first, second] = colorsOf(['cat', 'dog', 'cat', '', '']);
  expect(cat).toBe(again);
  expect(new Set([cat, dog, first, second]).size).toBe(4);
  expect([inkOn('#f0e442'), inkOn('#0072b2')]).toEqual(['#000', '#fff']);
});
