import type { WSEvents } from "hono/ws";
import { NAME_PATTERN, NotFoundError, SlowWatcherError } from "../../engine/index.ts";
import { type Caller, demandRun } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { checkId } from "../ids.ts";
import { check } from "../json.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { CLOSE } from "./close-codes.ts";
import { hear } from "./hear.ts";
import { type ClientMessage, clientMessage, ofRun } from "./messages.ts";
import { SocketSignals } from "./signals.ts";
import { type About, LiveSocket } from "./socket.ts";
import { type StreamOf, streamFor } from "./stream.ts";

/** Why a run cannot be asked for so. */
function misfitOf(run: string, asked: ClientMessage): ProblemError | undefined {
  try {
    checkId(run, "run");
    check(ofRun, asked, "message");
    return undefined;
  } catch (error) {
    return problemOf(error);
  }
}

/** A socket that carries the events of what its client asks for: single runs, until each has ended, workflows, or all. */
export function liveEvents(gateway: Gateway, caller: Caller): WSEvents {
  const { millrace, limits } = gateway;
  const signals = new SocketSignals(gateway, caller);
  let socket: LiveSocket | undefined;
  const subscriptions = new Map<string, AbortController>();
  /** Those too that were unsubscribed and are still ending. */
  let feeding = 0;

  async function feedRun(
    socket: LiveSocket,
    run: string,
    from: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { tenant } = caller;
    const { workflow } = await millrace.runs.summary(run, { tenant });
    demandRun(caller, { id: run, workflow });
    await socket.follow(run, from, signal);
  }

  async function subscribe(socket: LiveSocket, name: string, about: About, asked: ClientMessage): Promise<void> {
    const mine = new AbortController();
    const signal = AbortSignal.any([socket.signal, mine.signal]);
    subscriptions.set(name, mine);
    feeding += 1;
    const { after: from, snapshot } = { after: undefined, snapshot: undefined, ...asked };
    try {
      if (about.run !== undefined) await feedRun(socket, about.run, from, signal);
      else {
        const messages = streamFor(millrace, caller, about as StreamOf, { after: from, snapshot, signal });
        await socket.feed(messages, signal, () => "resume after the last cursor");
      }
    } catch (error) {
      if (error instanceof SlowWatcherError) socket.close(CLOSE.slow, "slow reader; resume after the last cursor");
      const problem = problemOf(error);
      if (problem.status >= 500) gateway.log.warn("{name} could not be watched for a socket: {error}", { name, error });
      if (!mine.signal.aborted) socket.refuse(problem, about);
    } finally {
      feeding -= 1;
      // After an unsubscribe the same may have been subscribed to anew.
      if (subscriptions.get(name) === mine) subscriptions.delete(name);
    }
  }

  function obey(socket: LiveSocket, asked: ClientMessage): void {
    if (asked.type === "ping") {
      socket.pong();
      return;
    }
    if (asked.type === "signal") {
      signals.take(socket, asked);
      return;
    }
    const { run, workflow } = asked;
    const wrong = run === undefined ? undefined : misfitOf(run, asked);
    if (wrong !== undefined) {
      socket.refuse(wrong, { run: run!.slice(0, 64) });
      return;
    }
    if (workflow !== undefined && !NAME_PATTERN.test(workflow))
      throw new NotFoundError("workflow", workflow.slice(0, 48));
    const about: About = run !== undefined ? { run } : workflow !== undefined ? { workflow } : { all: true };
    const name = run !== undefined ? `run ${run}` : workflow !== undefined ? `workflow ${workflow}` : "all";
    if (asked.type === "unsubscribe") {
      subscriptions.get(name)?.abort();
      subscriptions.delete(name);
    } else if (subscriptions.has(name))
      socket.refuse(new ProblemError(409, "subscribed", "This socket watches that already."), about);
    else if (subscriptions.size >= limits.subscriptions || feeding >= 2 * limits.subscriptions) {
      const detail = `One socket watches ${limits.subscriptions} runs and workflows at the most.`;
      socket.refuse(new ProblemError(409, "too_many_subscriptions", detail), about);
    } else void subscribe(socket, name, about, asked);
  }

  return {
    onOpen(_, ws) {
      socket = new LiveSocket(ws, gateway, caller);
    },
    onMessage: (event) => hear(socket, event.data, clientMessage, obey),
    onClose: () => socket?.closed(),
    onError: () => socket?.closed(),
  };
}
