/** Help of `pgconv clean`, below its options. */
export const CLEAN_HELP = `
A conversion that was killed, interrupted or met a full disk leaves what it has written
beside its output, so that the same command can go on: .<out>.pgconv-new-… Here it is
removed, with locks of processes that are dead, with drafts of files, and with synthetic
checkpoints that were not finished. A bundle that was moved away to be replaced is put
back. What a living process uses stays, and is named with that process; of one on another
machine or in another container that is told by its last sign of life, 10 minutes ago at
most.

Examples:
  pgconv clean
  pgconv clean bundles --dry-run
  pgconv clean bundles --json`;
