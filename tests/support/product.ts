import { openAsBlob } from "node:fs";
import { adminKey } from "./admin-key.ts";
import { type Answer, answerOf } from "./gateway.ts";
import { type Ended, type GatewayRuntime, type Runtime, type StartedProcess, startFile } from "./process.ts";
import { freshNamespace, redisUrl } from "./redis.ts";
import { temporaryDir } from "./run.ts";
import { SHIPPED_WORKER, startWorkerd } from "./workerd.ts";

interface Started {
  url: string;
  process: StartedProcess;
  stop(): Promise<Ended>;
}

/** Millrace as its users have it: one `millrace gateway`, or the Worker, and one `millrace worker` with the shipped workflows. */
export class Product implements AsyncDisposable {
  readonly url: string;
  readonly gateway: StartedProcess;
  readonly worker: StartedProcess;
  /** What lets a request in. */
  readonly key: { Authorization: string };
  /** What other commands take to work with it: where Redis and the blob store are. */
  readonly env: Readonly<Record<string, string>>;

  readonly #started: Started;

  private constructor(
    gateway: Started,
    worker: StartedProcess,
    key: { Authorization: string },
    env: Record<string, string>,
  ) {
    this.#started = gateway;
    this.url = gateway.url;
    this.key = key;
    this.env = env;
    this.gateway = gateway.process;
    this.worker = worker;
  }

  /**
   * Starts both, in a namespace and with a blob directory of their own. Resolves when they are ready.
   *
   * @param workerEnv what the worker is given beyond that
   */
  static async start(runtime: GatewayRuntime, workerEnv: Record<string, string> = {}): Promise<Product> {
    const atEdge = runtime === "workerd";
    const blobs = atEdge ? "redis:" : await temporaryDir();
    const own = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: blobs };
    // What a developer's own environment says of a model server is no part of a test.
    const env = { ...own, OPENAI_BASE_URL: undefined, OPENAI_API_KEY: undefined, OPENAI_MODEL: undefined };
    const args = ["worker"];
    const worker = startFile(atEdge ? "node" : runtime, "cli/main.ts", { args, env: { ...env, ...workerEnv } });
    const gateway = atEdge ? await startWorkerd(SHIPPED_WORKER, own) : await listening(runtime, env);
    await worker.line(/^worker \S+ serves /);
    const key = await adminKey(own.MILLRACE_NAMESPACE, redisUrl);
    return new Product(gateway, worker, key, own);
  }

  /** Uploads a document for analysis, as a browser's form or curl's `-F file=@PATH` does. */
  async upload(name: string, content: string | Uint8Array<ArrayBuffer> | { path: string }): Promise<Answer> {
    const type = "application/pdf";
    const isPath = typeof content === "object" && "path" in content;
    const body = new FormData();
    body.append("file", isPath ? await openAsBlob(content.path, { type }) : new Blob([content], { type }), name);
    const path = "/v1/documents?workflow=document-analysis";
    return answerOf(await fetch(this.url + path, { method: "POST", headers: this.key, body }));
  }

  /** Posts JSON. */
  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await fetch(this.url + path, this.json(body, headers)));
  }

  json(body: unknown, headers: Record<string, string> = {}): RequestInit {
    return {
      method: "POST",
      headers: { "Content-Type": "application/json", ...this.key, ...headers },
      body: JSON.stringify(body),
    };
  }

  async get(path: string): Promise<Answer> {
    return answerOf(await fetch(this.url + path, { headers: this.key }));
  }

  /** The run when it has ended. */
  async ended(run: string): Promise<Answer["body"]> {
    // The stream of its events ends with it.
    await (
      await fetch(`${this.url}/v1/runs/${run}/events`, { headers: this.key, signal: AbortSignal.timeout(25_000) })
    ).text();
    return (await this.get(`/v1/runs/${run}`)).body;
  }

  /** Both exit codes, after SIGTERM; null for workerd, which is killed. */
  async stop(): Promise<(number | null)[]> {
    const ended = await Promise.all([this.#started.stop(), this.worker.stop()]);
    return ended.map(({ code }) => code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function listening(runtime: Runtime, env: Record<string, string | undefined>): Promise<Started> {
  const process = startFile(runtime, "cli/main.ts", { args: ["gateway", "--port", "0"], env });
  const line = await process.line(/^listening on /);
  return { url: line.slice("listening on ".length), process, stop: () => process.stop() };
}
