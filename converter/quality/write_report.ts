import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { outputError } from '../output_error.ts';
import { plotsOf } from './plots.ts';
import { renderSvg, standaloneSvg } from './render_svg.ts';
import type { QualityReport } from './report.ts';
import { reportHtml } from './report_html.ts';
import { reportMarkdown } from './report_markdown.ts';

/** Writes one HTML page. Returns its path. @throws OutputError */
export async function writeHtmlReport(report: QualityReport, dir: string): Promise<string> {
  const plots = plotsOf(report);
  const svgs = await renderAll(plots);
  const file = join(dir, 'report.html');
  await write(file, reportHtml(report, plots, svgs));
  return file;
}

/** Writes a Markdown page, and its plots into a folder of its name beside it. @throws OutputError */
export async function writeMarkdownReport(report: QualityReport, file: string, command: string): Promise<void> {
  const plots = plotsOf(report);
  const svgs = await renderAll(plots);
  const folder = basename(file).replace(/\.\w+$/, '');
  const pictures = plots.map(({ name }) => `${folder}/${name}.svg`);
  for (const [i, path] of pictures.entries()) await write(join(dirname(file), path), `${standaloneSvg(svgs[i]!)}\n`);
  await write(file, reportMarkdown(report, command, plots, pictures));
}

async function renderAll(plots: ReturnType<typeof plotsOf>): Promise<readonly string[]> {
  const svgs: string[] = [];
  for (const plot of plots) svgs.push(await renderSvg(plot));
  return svgs;
}

async function write(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  } catch (error) {
    throw outputError(error, file);
  }
}
