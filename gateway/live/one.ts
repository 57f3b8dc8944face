import type { WSEvents } from "hono/ws";
import type { Gateway } from "../context.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { LiveSocket } from "./socket.ts";

/** A socket that carries one run's events, and closes with 1000 when the run has ended. */
export function runEvents(gateway: Gateway, tenant: string, run: string, after: string | undefined): WSEvents {
  let socket: LiveSocket | undefined;

  async function feed(socket: LiveSocket): Promise<void> {
    try {
      await socket.feed(run, { tenant, after, signal: socket.signal });
      socket.close(1000, "the run has ended");
    } catch (error) {
      gateway.log.warn("{run} could not be watched for a socket: {error}", { run, error });
      socket.refuse(problemOf(error));
      socket.close(1011, "the run cannot be watched");
    }
  }

  return {
    onOpen(_, ws) {
      socket = new LiveSocket(ws, gateway);
      void feed(socket);
    },
    onMessage(event) {
      try {
        if (socket?.textOf(event.data) !== undefined)
          throw new ProblemError(400, "malformed_message", "This socket takes no messages; /v1/live does.");
      } catch (error) {
        socket?.refuse(problemOf(error));
      }
    },
    onClose: () => socket?.closed(),
    onError: () => socket?.closed(),
  };
}
