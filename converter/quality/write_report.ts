import { basename, dirname, join } from 'node:path';
import { makeFolders, replaceFile } from '../disk.js';
import { outputError } from '../output_error.ts';
import { plotsOf } from './plots.ts';
import { renderSvg, standaloneSvg } from '../report/render_svg.ts';
import type { QualityReport } from './report.ts';
import { reportHtml } from './report_html.ts';
import { reportMarkdown } from './report_markdown.ts';

/** Writes one HTML page. Returns its path. @throws OutputError */
export async function writeHtmlReport(report: QualityReport, dir: string): Promise<string> {
  const plots = plotsOf(report);
  const svgs = await renderAll(plots);
  const file = htmlReportFile(dir);
  await write(file, reportHtml(report, plots, svgs), '--out');
  return file;
}

/** The page in a folder of reports. */
export function htmlReportFile(dir: string): string {
  return join(dir, 'report.html');
}

/** The folder of the plots of a Markdown page: of its name, beside it. */
export function plotFolder(file: string): string {
  const name = basename(file).replace(/\.\w+$/, '');
  return join(dirname(file), name === '' || name === basename(file) ? `${basename(file)}-plots` : name);
}

/** Writes a Markdown page, and its plots into a folder of its name beside it. @throws OutputError */
export async function writeMarkdownReport(report: QualityReport, file: string, command: string): Promise<void> {
  const plots = plotsOf(report);
  const svgs = await renderAll(plots);
  const folder = basename(plotFolder(file));
  const pictures = plots.map(({ name }) => `${folder}/${name}.svg`);
  for (const [i, path] of pictures.entries())
    await write(join(dirname(file), path), `${standaloneSvg(svgs[i]!)}\n`, '--markdown');
  await write(file, reportMarkdown(report, command, plots, pictures), '--markdown');
}

async function renderAll(plots: ReturnType<typeof plotsOf>): Promise<readonly string[]> {
  const svgs: string[] = [];
  for (const plot of plots) svgs.push(await renderSvg(plot));
  return svgs;
}

async function write(file: string, text: string, option: string): Promise<void> {
  try {
    await makeFolders(dirname(file));
    await replaceFile(file, text);
  } catch (error) {
    throw outputError(error, file, option);
  }
}
