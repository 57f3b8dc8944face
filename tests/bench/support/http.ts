import { Agent, request } from "node:http";

export interface Answer {
  status: number;
  text: string;
}

/** Asks servers of this machine over connections that stay open. */
export class Http {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** @param body sent as JSON */
  ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const json = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ host: "127.0.0.1", port: this.#port, method, path, agent: this.#agent },
          headers:
            json === undefined
              ? headers
              : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(json), ...headers },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
          });
          response.on("end", () => resolve({ status: response.statusCode!, text })).on("error", reject);
        },
      );
      sent.on("error", reject).end(json);
    });
  }

  /** @throws Error for another status than this */
  async expect(status: number, ...what: Parameters<Http["ask"]>): Promise<string> {
    const answer = await this.ask(...what);
    if (answer.status === status) return answer.text;
    throw new Error(`${what[0]} ${what[1]} was answered with ${answer.status}: ${answer.text.slice(0, 500)}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Calls so many times in all, with so many callers of which each begins a call once its last one has ended. */
export async function byCallers(callers: number, calls: number, call: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < calls) {
      next += 1;
      await call(next - 1);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** How long each of so many calls took, one at a time, in ms; fewer where they would take longer than 5 s together. */
export async function oneByOne(calls: number, call: (n: number) => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  const until = performance.now() + 5_000;
  for (let n = 0; n < calls && performance.now() < until; n += 1) {
    const from = performance.now();
    await inTime(call(n));
    took.push(performance.now() - from);
  }
  return took;
}

/** @throws Error if that has not come after half a minute: nothing here takes so long */
export async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("A call has not ended after 30 s.")), 30_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
