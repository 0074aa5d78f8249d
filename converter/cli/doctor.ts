import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Line } from '../../verify/text_table.ts';
import type { Finding } from '../compile/examine.ts';
import { table } from '../terminal/table.ts';
import { DOCTOR_HELP } from './help/doctor.ts';
import { printed, type Io } from './io.ts';
import { jsonOption } from './options.ts';

/** `pgconv doctor`. */
export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .description('Say what of this machine pgconv can use, and what each missing thing costs.')
    .argument('[folder]', 'where bundles would be written', '.')
    .addOption(jsonOption())
    .addHelpText('after', DOCTOR_HELP)
    .action(async (folder: string, { json: asJson }: { json?: boolean }) => {
      const { examine } = await import('../compile/examine.ts');
      const reporter = io.reporter();
      try {
        const findings = await examine(resolve(folder), reporter, io.signal);
        reporter.close();
        io.out(asJson ? printed('doctor', { findings }) : summary(findings));
      } finally {
        reporter.close();
      }
    });
}

function summary(findings: readonly Finding[]): readonly Line[] {
  const lacking = findings.filter(({ state }) => state !== 'there');
  return [
    table(
      ['what', '', 'found'],
      findings.map(({ what, state, detail }) => [what, state, detail]),
    ),
    ...lacking.flatMap(({ what, costs, hint }) => [
      `${what}: ${costs!}`,
      ...(hint === undefined ? [] : [`  try: ${hint}`]),
    ]),
    lacking.length === 0 ? 'nothing is missing' : `${lacking.length} of ${findings.length} are missing or low`,
  ];
}
