import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Projects from that with the longest files to that with the shortest. */
const ORDER = ['slow', 'slow_browser', 'slow_f16', 'gpu', 'browser', 'f16', 'alone', 'e2e', 'unit'];

/**
 * Long files first, so that all cores are busy until the end: project by project, and within one by what vitest knows
 * of earlier runs, or by size.
 */
export class HeaviestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ project }: TestSpecification) => ORDER.indexOf(project.name);
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}
