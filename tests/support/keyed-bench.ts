import { s3Blobs } from "../../engine/blobs/s3.ts";
import type { KeyedRequest } from "../../engine/index.ts";
import { keyDoor } from "../../gateway/access/key-door.ts";
import { createApp } from "../../gateway/app.ts";
import { serve } from "../../gateway/entry/node.ts";
import { webhookDelivery } from "../../workflows/webhooks/index.ts";
import { type Answer, eventually, startGateway, type TestGateway } from "./gateway.ts";
import { gatewayWorkflows } from "./gateway-workflows.ts";
import { rawRedis } from "./redis.ts";
import { keysLike } from "./redis-client.ts";
import type { Has } from "./repeatable.ts";
import { type S3Server, startS3 } from "./servers/objects.ts";
import { LOOPBACK } from "./webhooks.ts";

/** How long a request is one gateway's. */
export const LEASE_MS = 1_000;

let keys = 0;
export const newKey = () => ({ "Idempotency-Key": `key ${keys++}` });
let groups = 0;

export const isProblem = (code: string, status = 409) => ({
  status,
  body: { type: `urn:millrace:problem:${code.replaceAll("_", "-")}`, status },
});
/** What tells one thing from another. */
export const told = ({ id, secret, ticket, kind }: Record<string, unknown>) => ({ id, secret, ticket, kind });
export const seen = ({ status, body, headers }: Answer) => ({ status, body, location: headers.get("location") });

/** What a gateway was about to store when it died. */
interface Unstored {
  request: KeyedRequest;
  sealed: string;
  location: string;
}

/** A gateway over which everything can be made, and one that dies while it does so. */
export class KeyedBench implements AsyncDisposable {
  readonly gateway: TestGateway;
  readonly namespace: string;
  readonly broken: Set<string>;
  readonly #server: S3Server;

  private constructor(gateway: TestGateway, namespace: string, broken: Set<string>, server: S3Server) {
    this.gateway = gateway;
    this.namespace = namespace;
    this.broken = broken;
    this.#server = server;
  }

  static async start(): Promise<KeyedBench> {
    const { workflows, broken } = gatewayWorkflows();
    const server = await startS3();
    const delivery = webhookDelivery({ millrace: () => gateway.millrace, policy: LOOPBACK });
    const gateway: TestGateway = await startGateway({
      ...{ workflows: [...workflows, delivery], webhooks: LOOPBACK, keys: true },
      blobs: s3Blobs({ ...server, forcePathStyle: true }),
      limits: { idempotencyLeaseMs: LEASE_MS },
      // Whoever the token says that it is.
      jwt: { verify: async (token) => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) },
    });
    const { id } = await gateway.millrace.access.keys.create({ name: "first", scopes: ["admin"] });
    const [key] = await keysLike(rawRedis(), `*:api-key:${id}`);
    return new KeyedBench(gateway, /^\{(.+):\d+\}/.exec(key!)![1]!, broken, server);
  }

  /** A tenant with a key that may do everything. */
  async tenant(name: string) {
    const { secret, id } = await this.gateway.millrace.access.keys.create({
      name: "t",
      tenant: name,
      scopes: ["admin"],
    });
    return { id, secret, ...this.holder(name, secret) };
  }

  holder(name: string, secret: string) {
    const { gateway, broken } = this;
    const Authorization = `Bearer ${secret}`;
    const call: Has["call"] = (method, path, body, headers) =>
      gateway.call(method, path, body, { Authorization, ...headers });
    const failed = async () => {
      broken.add("Bob");
      const run = (await call("POST", "/v1/workflows/fragile/runs", { input: { name: "Bob" } })).body.id;
      await eventually(
        () => call("GET", `/v1/runs/${run}`),
        ({ body }) => body.status === "failed",
      );
      broken.delete("Bob");
      return run as string;
    };
    const has: Has = {
      call,
      async deadLetter() {
        const run = await failed();
        const { body } = await call("GET", "/v1/dead-letters");
        return body.data.find((each: { run: string }) => each.run === run).id;
      },
      async undelivered() {
        const group = `group-${groups++}`;
        const refuses = () => Promise.reject(new Error("not now"));
        const options = { group, events: ["run.failed"] as const, retry: { attempts: 1 } };
        const consumer = await gateway.millrace.subscribe({ ...options, events: [...options.events] }, refuses);
        await failed();
        const letters = await eventually(
          () => gateway.millrace.subscriptions.deadLetters(group),
          ({ data }) => data.length > 0,
        );
        await consumer.stop();
        return { group, id: letters.data[0]!.id };
      },
    };
    return { name, has, call };
  }

  /** A gateway on the same engine that never gets to store a reply. */
  async dyingGateway() {
    const { millrace } = this.gateway;
    const { requests } = millrace;
    let fail: (error: Error) => void = () => {};
    const dead = new Promise<never>((_, reject) => {
      fail = reject;
    });
    dead.catch(() => {});
    let storing: (what: Unstored) => void = () => {};
    const stored = new Promise<Unstored>((resolve) => {
      storing = resolve;
    });
    const dying = {
      begin: requests.begin.bind(requests),
      reserve: requests.reserve.bind(requests),
      leave: () => dead,
      answer: (request: KeyedRequest, sealed: string, location: string) => {
        storing({ request, sealed, location });
        return dead;
      },
    };
    const silent = { info: () => {}, warn: () => {}, error: () => {} };
    const listening = await serve(
      (upgradeWebSocket) =>
        createApp({
          ...{ millrace: { ...millrace, requests: dying }, door: keyDoor(millrace.access), upgradeWebSocket },
          ...{ webhooks: LOOPBACK, limits: { idempotencyLeaseMs: LEASE_MS }, log: silent },
        }),
      { host: "127.0.0.1", port: 0 },
    );
    return {
      stored,
      ask(path: string, body: unknown, headers: Record<string, string>) {
        const aborted = new AbortController();
        fetch(`http://127.0.0.1:${listening.port}${path}`, {
          method: "POST",
          headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
          body: body === undefined ? null : JSON.stringify(body),
          signal: aborted.signal,
        }).catch(() => {});
        return aborted;
      },
      async [Symbol.asyncDispose]() {
        fail(new Error("It is dead."));
        await listening.close();
      },
    };
  }

  async [Symbol.asyncDispose]() {
    await this.gateway.close();
    await this.#server.stop();
  }
}
