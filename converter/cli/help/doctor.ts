/** Help of `pgconv doctor`, below its options. */
export const DOCTOR_HELP = `
Looks at Node, memory and disk, at the runtime of each backend on each device that
verify, run and convert take with --device, at what draws plots and unpacks videos.
Nothing is written, and no bundle is opened. The exit code is 0 whatever is missing:
what a command needs, it asks for itself before it works.

Examples:
  pgconv doctor
  pgconv doctor bundles
  pgconv doctor --json`;
