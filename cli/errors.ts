/** Ends the command with its message, without a stack: what went wrong is nobody's programming error. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly exitCode: number = 1;
}

/** What was asked for cannot be: an option, a variable or a module. */
export class UsageError extends CommandError {
  override readonly name = "UsageError";
  override readonly exitCode = 2;
}
