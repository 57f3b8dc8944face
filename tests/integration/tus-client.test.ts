import { createHash, randomBytes } from "node:crypto";
import { Upload, type UploadOptions } from "tus-js-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminKey } from "../support/admin-key.ts";
import { blobFiles } from "../support/blob-files.ts";
import { answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { missing, RUNTIMES, type Runtime, type StartedProcess, startFile } from "../support/process.ts";
import { openProxy } from "../support/proxy.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const bytes = (size: number) => Buffer.alloc(size, randomBytes(1_000_003));

/** Uploads, trying again after whatever breaks; the headers of the last reply. */
function uploaded(url: string, content: Buffer, more: Partial<UploadOptions> = {}): Promise<(name: string) => string> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(content, {
      endpoint: `${url}/v1/uploads`,
      retryDelays: Array.from({ length: 50 }, () => 50),
      metadata: { filename: "large.bin" },
      onError: reject,
      onSuccess: ({ lastResponse }) => resolve((name) => lastResponse.getHeader(name)!),
      ...more,
    });
    upload.start();
  });
}

describe("tus-js-client", () => {
  const { workflows } = gatewayWorkflows();
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway({ workflows });
  });
  afterAll(() => gateway.close());

  const document = async (id: string) => {
    const response = await fetch(`${gateway.url}/v1/documents/${id}`);
    return sha256(new Uint8Array(await response.arrayBuffer()));
  };

  test("uploads 100 MB over a connection that is cut 20 times, and one document is left", async () => {
    const content = bytes(100_000_000);
    await using proxy = await openProxy(gateway.url);
    const gaps = Array.from({ length: 20 }, () => 10_000 + Math.floor(Math.random() * 4_900_000));
    console.log(`cut after ${gaps.join(" ")}`);
    const header = uploaded(proxy.url.replace(/\/$/, ""), content);
    for (const gap of gaps) {
      await proxy.passed(gap);
      expect(proxy.cut()).toBeGreaterThan(0);
    }
    const id = (await header)("Millrace-Document");
    expect(await document(id)).toBe(sha256(content));
    // The bytes of the document, and what is known of it.
    expect(await gateway.blobFiles()).toHaveLength(2);
    await gateway.call("DELETE", `/v1/documents/${id}`);
  }, 120_000);

  test.each<[string, Partial<UploadOptions>]>([
    ["with its first bytes as it begins", { uploadDataDuringCreation: true }],
    ["in chunks of 64 KB, which are joined", { chunkSize: 65_536 }],
    ["by POST alone", { overridePatchMethod: true, chunkSize: 1_000_000 }],
    ["of a length that it says at the end", { uploadLengthDeferred: true, chunkSize: 1_000_000 }],
  ])("uploads %s", async (_, options) => {
    const content = bytes(3_000_000);
    const files = await gateway.blobFiles();
    const header = await uploaded(gateway.url, content, options);
    expect(await document(header("Millrace-Document"))).toBe(sha256(content));
    expect(await gateway.blobFiles()).toHaveLength(files.length + 2);
  });

  test("ends an upload that it was told to abort", async () => {
    const files = await gateway.blobFiles();
    const upload = new Upload(bytes(3_000_000), {
      ...{ endpoint: `${gateway.url}/v1/uploads`, chunkSize: 1_000_000 },
      onChunkComplete: () => void upload.abort(true),
    });
    upload.start();
    await eventually(
      async () => upload.url && (await gateway.call("GET", new URL(upload.url).pathname)).status,
      (status) => status === 410,
    );
    await eventually(gateway.blobFiles, (now) => now.length === files.length);
  });

  test("starts one run, though the reply that says so is lost", async () => {
    const content = bytes(1_000_000);
    await using proxy = await openProxy(gateway.url);
    const metadata = { filename: "a.bin", workflow: "measure" };
    let lost = 0;
    const header = await uploaded(proxy.url.replace(/\/$/, ""), content, {
      metadata,
      onBeforeRequest: (request) => {
        // The first to send bytes does not hear what came of it.
        if (request.getMethod() !== "PATCH" || lost++ > 0) return;
        proxy.set("drop-replies");
        void eventually(
          async () => (await gateway.call("GET", "/v1/runs?workflow=measure")).body.data.length,
          (runs) => runs === 1,
        ).then(() => {
          proxy.set("pass", "new");
          proxy.cut();
        });
      },
    });
    expect(lost).toBe(1);
    const { data } = (await gateway.call("GET", "/v1/runs?workflow=measure")).body;
    expect(data.map(({ id }: { id: string }) => id)).toEqual([header("Millrace-Run")]);
    const run = await gateway.call("GET", `/v1/runs/${header("Millrace-Run")}`);
    expect(run.body.input.document).toMatchObject({ id: header("Millrace-Document"), sha256: sha256(content) });
  });
});

describe.each(RUNTIMES)("a gateway under %s", (runtime) => {
  test.skipIf(missing(runtime))(
    "that is killed in the middle is followed by another",
    async () => {
      const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: await temporaryDir() };
      const headers = await adminKey(env.MILLRACE_NAMESPACE, redisUrl);
      const [first, second] = [await startOne(runtime, env), await startOne(runtime, env)];
      const content = bytes(60_000_000);
      await using proxy = await openProxy(first.url);
      const broken = new Promise<Upload>((resolve, reject) => {
        const upload: Upload = new Upload(content, {
          ...{ endpoint: `${proxy.url}v1/uploads`, retryDelays: null, headers },
          onError: (error) => (upload.url === null ? reject(error) : resolve(upload)),
          onSuccess: () => reject(new Error("nothing broke")),
        });
        upload.start();
        void proxy.passed(50_000_000).then(async () => {
          proxy.set("black-hole");
          // 32 MB count by then, and more is on its way into the store.
          const path = `${second.url}${new URL(upload.url!).pathname}`;
          await eventually(
            async () => (await answerOf(await fetch(path, { headers }))).body.offset,
            (offset) => offset === 33_554_432,
          );
          first.process.kill("SIGKILL");
          await first.process.exited;
          proxy.cut();
        });
      });
      const url = second.url + new URL((await broken).url!).pathname;

      const sent: string[] = [];
      const header = await uploaded(second.url, content, {
        ...{ uploadUrl: url, headers },
        onAfterResponse: (request, response) =>
          void sent.push(`${request.getMethod()} ${response.getHeader("Upload-Offset")}`),
      });
      expect(sent).toEqual(["HEAD 33554432", "PATCH 60000000"]);
      const { body } = await answerOf(await fetch(url, { headers }));
      expect(body.document).toMatchObject({ id: header("Millrace-Document"), sha256: sha256(content) });
      expect(await blobFiles(env.MILLRACE_BLOBS)).toHaveLength(2);
      await second.process.stop();
    },
    60_000,
  );
});

async function startOne(
  runtime: Runtime,
  env: Record<string, string>,
): Promise<{ url: string; process: StartedProcess }> {
  const args = ["gateway", "--workflows", "tests/support/programs/definitions.ts", "--port", "0"];
  const process = startFile(runtime, "cli/main.ts", { args, env });
  const line = await process.line(/^listening on /, 60_000);
  return { url: line.slice("listening on ".length), process };
}
