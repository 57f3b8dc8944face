import { MillraceError } from "./errors.ts";

/** The worker stops, or cannot begin: the attempt is given back and starts again elsewhere, uncharged. */
export class Interrupted extends MillraceError {
  constructor() {
    super("interrupted", "The worker is stopping; this step will be run again elsewhere.");
  }
}

/** Whatever the handler comes to is not wanted any more: another has the lease, or the run has ended. */
export class Unwanted extends MillraceError {
  constructor({ runEnded = false } = {}) {
    if (runEnded) super("run_ended", "The run was cancelled or has failed: this step is not run again for it.");
    else super("lease_lost", "This attempt's lease is gone: another has it, or will.");
  }
}
