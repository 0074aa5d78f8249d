/** Help of `pgconv completion`, below its options. */
export const COMPLETION_HELP = `
The text is for the shell to read at its start. Write it to
~/.local/share/bash-completion/completions/pgconv for bash, to
~/.config/fish/completions/pgconv.fish for fish, and as _pgconv to a folder of $fpath
for zsh.

Examples:
  pgconv completion bash
  pgconv completion zsh
  pgconv completion fish`;
