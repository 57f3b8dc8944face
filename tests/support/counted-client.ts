import { type Client, type ClientOptions, createClient } from "../../gateway/client/index.ts";

/** A client, and what it has asked a gateway for so far. */
export interface CountedClient {
  readonly client: Client;
  /** `GET /v1/runs/…` and the like, of requests. */
  readonly requests: string[];
  /** What was subscribed to over sockets, in order. */
  readonly subscribed: object[];
  /** How many sockets were opened. */
  sockets(): number;
}

export function countedClient(options: ClientOptions): CountedClient {
  const requests: string[] = [];
  const subscribed: object[] = [];
  let sockets = 0;
  class Counted extends WebSocket {
    constructor(url: string) {
      super(url);
      sockets += 1;
    }

    override send(text: string): void {
      const { type, after: _, ...topic } = JSON.parse(text) as { type: string; after?: string };
      if (type === "subscribe") subscribed.push(topic);
      super.send(text);
    }
  }
  const client = createClient({
    ...options,
    WebSocket: Counted as unknown as typeof WebSocket,
    fetch(url, init) {
      requests.push(`${init?.method} ${new URL(url).pathname}`);
      return fetch(url, init);
    },
  });
  return { client, requests, subscribed, sockets: () => sockets };
}
