import { DefinitionError, InvalidInputError, MillraceError, NotFoundError, UnavailableError } from "../engine/index.ts";

/** What every command ends with, for scripts. Who ends one with Ctrl-C gets 130, as of any program. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unreachable: 4,
  cancelled: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The same in words, for the help. */
export const EXIT_WORDS: Record<keyof typeof EXIT, string> = {
  done: "done; of a watch: the run has completed",
  failed: "refused or failed; of a watch: the run has failed",
  usage: "asked wrongly: options, variables, an input that does not fit",
  notFound: "what was asked for is not there",
  unreachable: "Redis or the gateway cannot be reached, or takes nothing just now: try again",
  cancelled: "of a watch: the run was cancelled",
};

/** Ends the command with its message, without a stack: what went wrong is nobody's programming error. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly exitCode: ExitCode;

  constructor(message: string, options: { cause?: unknown; exitCode?: ExitCode } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}

/** What was asked for cannot be: an option, a variable or a module. */
export class UsageError extends CommandError {
  override readonly name = "UsageError";

  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { ...options, exitCode: EXIT.usage });
  }
}

const ASKED_WRONGLY = ["bad_option", "bad_redis_url", "bad_blobs_url", "bad_namespace"];

/** What an error ends the command with, and what is said of it; without words it is nobody's but a programmer's. */
export function endOf(error: unknown): { code: ExitCode; words?: string } {
  if (error instanceof CommandError) return { code: error.exitCode, words: error.message };
  if (error instanceof InvalidInputError) return { code: EXIT.usage, words: wordsOf(error) };
  if (!(error instanceof MillraceError)) return { code: EXIT.failed };
  const words = error.message;
  if (error instanceof NotFoundError) return { code: EXIT.notFound, words };
  if (error instanceof UnavailableError) return { code: EXIT.unreachable, words };
  const isAsked = error instanceof DefinitionError || ASKED_WRONGLY.includes(error.code);
  return { code: isAsked ? EXIT.usage : EXIT.failed, words };
}

/** Where it does not fit is said on lines of its own, unless the message says it already. */
function wordsOf({ message, issues }: InvalidInputError): string {
  const said = issues.filter((issue) => !message.includes(issue.message));
  return [message, ...said.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`)].join("\n");
}
