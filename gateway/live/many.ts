import type { WSEvents } from "hono/ws";
import type { Gateway } from "../context.ts";
import { checkId } from "../ids.ts";
import { check, parseJson } from "../json.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { clientMessage } from "./messages.ts";
import { LiveSocket } from "./socket.ts";

/** A socket that carries the events of the runs that its client asks for, until each has ended. */
export function liveEvents(gateway: Gateway, tenant: string): WSEvents {
  let socket: LiveSocket | undefined;
  const subscriptions = new Map<string, AbortController>();

  async function subscribe(socket: LiveSocket, run: string, after: string | undefined): Promise<void> {
    const mine = new AbortController();
    subscriptions.set(run, mine);
    try {
      await socket.feed(run, { tenant, after, signal: mine.signal });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status >= 500) gateway.log.warn("{run} could not be watched for a socket: {error}", { run, error });
      if (!mine.signal.aborted) socket.refuse(problem, run);
    } finally {
      // After an unsubscribe the same run may have been subscribed to anew.
      if (subscriptions.get(run) === mine) subscriptions.delete(run);
    }
  }

  function obey(socket: LiveSocket, text: string): void {
    const asked = check(clientMessage, parseJson(text, "message"), "message");
    const run = checkId(asked.run, "run");
    if (asked.type === "unsubscribe") {
      subscriptions.get(run)?.abort();
      subscriptions.delete(run);
    } else if (subscriptions.has(run))
      socket.refuse(new ProblemError(409, "subscribed", "This socket watches that run already."), run);
    else if (subscriptions.size >= gateway.limits.subscriptions) {
      const detail = `One socket watches ${gateway.limits.subscriptions} runs at the most.`;
      socket.refuse(new ProblemError(409, "too_many_subscriptions", detail), run);
    } else void subscribe(socket, run, asked.after);
  }

  return {
    onOpen(_, ws) {
      socket = new LiveSocket(ws, gateway);
    },
    onMessage(event) {
      if (socket === undefined) return;
      try {
        const text = socket.textOf(event.data);
        if (text !== undefined) obey(socket, text);
      } catch (error) {
        socket.refuse(problemOf(error));
      }
    },
    onClose: () => socket?.closed(),
    onError: () => socket?.closed(),
  };
}
