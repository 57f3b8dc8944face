import { FsBlobStore } from "../../engine/blobs/fs.ts";
import {
  type AnyWorkflow,
  type BlobStore,
  connect,
  createWorker,
  type DurabilityOption,
  type Millrace,
} from "../../engine/index.ts";
import type { Door } from "../../gateway/access/caller.ts";
import type { JwtVerifier } from "../../gateway/access/jwt.ts";
import { keyDoor } from "../../gateway/access/key-door.ts";
import { openDoor } from "../../gateway/access/open-door.ts";
import { createApp } from "../../gateway/app.ts";
import type { Log } from "../../gateway/context.ts";
import { serve } from "../../gateway/entry/node.ts";
import type { Limits } from "../../gateway/limits.ts";
import type { RemoteModels } from "../../gateway/openai/models.ts";
import type { WebhookPolicy } from "../../workflows/webhooks/destinations.ts";
import { blobFiles } from "./blob-files.ts";
import { engineUrl, freshNamespace, rawRedis } from "./redis.ts";
import { channelsLike } from "./redis-client.ts";
import { temporaryDir } from "./run.ts";

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly millrace: Millrace;
  /** What was logged as a warning or an error. */
  readonly logged: { message: string; properties: Record<string, unknown> | undefined }[];
  /** The files of the blob store: two for each document, whatever bytes they share. */
  blobFiles(): Promise<string[]>;
  /** The channels of runs that somebody listens to. */
  watched(): Promise<string[]>;
  /** Calls it with a JSON body, or without one. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Ends the server and all that is connected to it, and starts it again at its port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is what the test is about
  body: any;
}

/** A gateway on Node over the suite's Redis, and a worker for its workflows unless told otherwise. */
export async function startGateway(options: {
  workflows: readonly AnyWorkflow[];
  limits?: Partial<Limits>;
  worker?: boolean;
  /** Of its worker. */
  concurrency?: number;
  /** What its worker hands to the handlers. */
  env?: Record<string, string>;
  remoteModels?: RemoteModels | undefined;
  /** Another Redis than the suite's. */
  url?: string;
  /** Whether it asks for keys. */
  keys?: boolean;
  /** Whose tokens it takes then. */
  jwt?: JwtVerifier;
  origins?: readonly string[];
  /** Of the runs that it starts. */
  durability?: DurabilityOption;
  /** Default: files in a directory of its own. */
  blobs?: BlobStore;
  /** Who lets callers in. */
  door?: Door;
  /** How often sockets are pinged. */
  pingMs?: number;
  /** Where webhooks may be sent beside public addresses. */
  webhooks?: WebhookPolicy;
}): Promise<TestGateway> {
  const namespace = freshNamespace();
  const dir = await temporaryDir();
  const { workflows, url: redis = engineUrl, durability = "memory", door, pingMs, concurrency = 32 } = options;
  const { blobs = new FsBlobStore(dir) } = options;
  const millrace = await connect({ url: redis, namespace, workflows, blobs, durability });
  const worker = options.worker === false ? undefined : createWorker(millrace, { env: options.env ?? {}, concurrency });
  await worker?.start();
  const logged: TestGateway["logged"] = [];
  const keep = (message: string, properties?: Record<string, unknown>) => logged.push({ message, properties });
  const log: Log = { info: () => {}, warn: keep, error: keep };
  const listen = (port: number) =>
    serve(
      (upgradeWebSocket) =>
        createApp({
          millrace,
          door: door ?? (options.keys === true ? keyDoor(millrace.access, options) : openDoor),
          webhooks: options.webhooks,
          origins: options.origins ?? [],
          upgradeWebSocket,
          log,
          limits: options.limits ?? {},
          remoteModels: options.remoteModels,
        }),
      { host: "127.0.0.1", port, pingMs },
    );
  let listening = await listen(0);
  const url = `http://127.0.0.1:${listening.port}`;
  return {
    ...{ url, port: listening.port, millrace, logged },
    blobFiles: () => blobFiles(dir),
    watched() {
      return channelsLike(rawRedis(), `{${namespace}:*}:run:*`);
    },
    async call(method, path, body, headers = {}) {
      const json: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
      const response = await fetch(url + path, {
        method,
        headers: { ...json, ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return answerOf(response);
    },
    async restart() {
      const { port } = listening;
      await listening.close();
      listening = await listen(port);
    },
    async close() {
      await listening.close();
      await worker?.stop();
      await millrace.close();
    },
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: isJson && text !== "" ? JSON.parse(text) : text };
}

/** Asks again until the answer is as it should be. @throws Error with the last one after 5 s */
export async function eventually<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 5_000; ; ) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Sockets and event streams that a gateway has open. */
export async function openConnections(gateway: TestGateway, headers: Record<string, string> = {}): Promise<number> {
  const { body } = await gateway.call("GET", "/metrics", undefined, headers);
  const open = [...(body as string).matchAll(/^millrace_open_(?:sockets|event_streams) (\d+)$/gm)];
  return open.reduce((all, [, count]) => all + Number(count), 0);
}
