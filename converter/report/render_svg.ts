import type { Plot } from './plot.ts';

/** Lines and text take the colour of the text around them, so that a plot is readable on any background. */
const CONFIG = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  view: { stroke: 'currentColor', strokeOpacity: 0.25 },
  axis: {
    labelColor: 'currentColor',
    titleColor: 'currentColor',
    domainColor: 'currentColor',
    tickColor: 'currentColor',
    gridColor: 'currentColor',
    gridOpacity: 0.12,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
  },
  legend: { labelColor: 'currentColor', titleColor: 'currentColor', labelFontSize: 12, orient: 'top', labelLimit: 400 },
  text: { fontSize: 12 },
} as const;

/** An SVG as text, from Vega-Lite and without a browser: the same report gives the same text. */
export async function renderSvg({ spec, description, title }: Plot): Promise<string> {
  // Vega is large, and only this needs it.
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const view = new View(parse(compile({ ...spec, description, config: CONFIG }).spec), { renderer: 'none' });
  try {
    const svg = await view.toSVG();
    return svg.replace('<svg ', `<svg role="img" aria-label="${escapeAttribute(`${title}. ${description}`)}" `);
  } finally {
    view.finalize();
  }
}

/**
 * The same as a file of its own, which has no text around it: it follows the reader's choice of a light or a dark
 * screen.
 */
export function standaloneSvg(svg: string): string {
  return svg.replace(
    /(<svg [^>]*>)/,
    '$1<style>svg{color:#1f2328}@media (prefers-color-scheme:dark){svg{color:#d1d7e0}}</style>',
  );
}

function escapeAttribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
