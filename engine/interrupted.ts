import { MillraceError } from "./errors.ts";

/** The worker stops, or cannot begin: the attempt is given back and starts again elsewhere, uncharged. */
export class Interrupted extends MillraceError {
  constructor() {
    super("interrupted", "The worker is stopping; this step will be run again elsewhere.");
  }
}

/** The lease is gone or the run has ended: whatever the handler comes to is not wanted any more. */
export class Unwanted extends MillraceError {
  constructor() {
    super("lease_lost", "This attempt's lease is gone: the run has ended or another has it.");
  }
}
