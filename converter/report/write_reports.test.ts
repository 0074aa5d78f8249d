import { appendFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { VerifyReport } from '../../verify/verify.ts';
import { tempFolders } from '../testing/bundle.ts';
import { faultyReport, soundReport } from './testing/reports.ts';
import { writeJobSummary, writeReports } from './write_reports.ts';

const folder = tempFolders();
const subject = { bundle: 'a-bundle', report: soundReport };

describe('reports', () => {
  it('go where they are asked for', async () => {
    const dir = await folder();
    const files = {
      junit: join(dir, 'verify.xml'),
      html: join(dir, 'verify.html'),
      markdown: join(dir, 'verify.md'),
    };
    expect(await writeReports(files, subject)).toEqual([]);
    expect(await readFile(files.junit, 'utf8')).toMatch(/^<\?xml .+a-bundle/s);
    expect(await readFile(files.html, 'utf8')).toMatch(/^<!DOCTYPE html>.+a-bundle/s);
    expect(await readFile(files.markdown, 'utf8')).toMatch(/^## `a-bundle`: passed/);
    await writeReports({}, subject);
    expect(await readdir(dir)).toHaveLength(3);
  });

  it('that cannot be written keep no other back, and are told with their option', async () => {
    const dir = await folder();
    const files = { junit: join(dir, 'a folder'), html: join(dir, 'no folder/x'), markdown: join(dir, 'verify.md') };
    await mkdir(files.junit);
    const unwritten = await writeReports(files, subject);
    expect(unwritten.map(({ file }) => file)).toEqual([files.junit, files.html]);
    expect(unwritten.map(({ error }) => error)).toMatchObject([
      { code: 'not_writable', exitCode: 4, place: { file: files.junit, hint: 'name a file with --junit' } },
      { code: 'parent_missing', exitCode: 4, place: { hint: expect.stringMatching(/with --html$/) } },
    ]);
    expect((await readdir(dir)).toSorted()).toEqual(['a folder', 'verify.md']);
  });
});

describe('the summary of a GitHub job', () => {
  it('gets the report behind what is there, and none where there is no job', async () => {
    const dir = await folder();
    const file = join(dir, 'summary');
    expect(await writeJobSummary(subject, { GITHUB_STEP_SUMMARY: file })).toBeUndefined();
    expect(await writeJobSummary(subject, { GITHUB_STEP_SUMMARY: file })).toBeUndefined();
    expect((await readFile(file, 'utf8')).match(/^## `a-bundle`: passed$/gm)).toHaveLength(2);
    expect(await writeJobSummary(subject, {})).toBeUndefined();
    expect(await readdir(dir)).toEqual(['summary']);
  });

  it('gets as much as it takes, and says what is missing', async () => {
    const dir = await folder();
    const file = join(dir, 'summary');
    const summary = (report: VerifyReport) => writeJobSummary({ bundle: 'b', report }, { GITHUB_STEP_SUMMARY: file });
    const checks = Array.from({ length: 9000 }, (_, i) => ({
      ...faultyReport.checks[0]!,
      case: `${i} ${'x'.repeat(90)}`,
    }));
    expect(await summary({ ...faultyReport, checks })).toContain('holds 1 MiB: what is said there of the report');
    const text = await readFile(file, 'utf8');
    expect(Buffer.byteLength(text)).toBeLessThan(2 ** 20);
    expect(text).toContain('| program | **FAILED** |');
    expect(text).toMatch(/There is no room here for the comparisons\.\n\n$/);
    expect(text.match(/```|<\/?details>/g)).toEqual(['```', '```']);
    expect(text).toContain('and 8980 more comparisons that failed: --json has all');
    // another command of the same step
    await appendFile(file, 'y'.repeat(2 ** 20 - Buffer.byteLength(text) - 100));
    expect(await summary(soundReport)).toContain('the report was left out');
    expect((await stat(file)).size).toBe(2 ** 20 - 100);
  });

  it('that cannot be written fails nothing', async () => {
    const dir = await folder();
    expect(await writeJobSummary(subject, { GITHUB_STEP_SUMMARY: dir })).toContain('$GITHUB_STEP_SUMMARY');
  });
});
