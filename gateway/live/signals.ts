import { type Caller, demand } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { sendSignal } from "../signal.ts";
import type { SignalMessage } from "./messages.ts";
import type { About, LiveSocket } from "./socket.ts";

/**
 * What the client of one socket signals: stored one by one in the order in which it came, each answered by `accepted` or an
 * error. Its caller may do no more than by requests, and each signal counts as one.
 */
export class SocketSignals {
  readonly #gateway: Gateway;
  readonly #caller: Caller;
  #last = Promise.resolve();
  /** Those that have come and are not answered. */
  #open = 0;

  constructor(gateway: Gateway, caller: Caller) {
    this.#gateway = gateway;
    this.#caller = caller;
  }

  /** What was taken here is stored though the socket closes meanwhile, as a request is whose client leaves. */
  take(socket: LiveSocket, asked: SignalMessage): void {
    // A runtime may hand over what came after the close.
    if (socket.signal.aborted) return;
    const { run, name, id } = asked;
    const about: About = { run: run.slice(0, 64), name: name.slice(0, 48), ...(id === undefined ? {} : { id }) };
    const most = this.#gateway.limits.socketSignals;
    if (this.#open >= most) {
      const detail = `One socket has ${most} signals under way at the most. Wait for their answers.`;
      socket.refuse(new ProblemError(429, "too_many_signals", detail), about);
      return;
    }
    this.#open += 1;
    this.#last = this.#last.then(() => this.#send(socket, asked, about));
  }

  /** Resolves once all that has come is answered. */
  answered(): Promise<void> {
    return this.#last;
  }

  async #send(socket: LiveSocket, asked: SignalMessage, about: About): Promise<void> {
    const began = performance.now();
    let status = 202;
    try {
      await this.#caller.asks?.();
      demand(this.#caller, "signals:write");
      await sendSignal(this.#gateway, this.#caller, asked);
      await socket.tell({ type: "accepted", ...about });
    } catch (error) {
      const problem = problemOf(error);
      status = problem.status;
      if (status === 429 || status === 503) this.#gateway.metrics.refused(status, problem.code);
      if (status >= 500) this.#gateway.log.error("a signal over a socket failed: {error}", { error });
      socket.refuse(problem, about);
    } finally {
      this.#open -= 1;
    }
    const { tenant, name: caller, key } = this.#caller;
    const durationMs = Math.round((performance.now() - began) * 1_000) / 1_000;
    const whose = { tenant, caller, ...(key === undefined ? {} : { keyId: key.id }) };
    this.#gateway.log.info("signal over a socket {status} in {durationMs} ms", { status, durationMs, ...whose });
  }
}
