import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminKey } from "../support/admin-key.ts";
import { noBrowser, startBrowser, visit } from "../support/browser.ts";
import { documentPath, noDocuments } from "../support/documents.ts";
import { type StartedProcess, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

/** A worker that died is taken for dead so soon. */
const LEASE = ["--lease-ms", "2000"];

/** One point. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

describe.skipIf(noBrowser ?? noDocuments)("a document and a prompt", () => {
  let browser: Browser;
  let env: Record<string, string | undefined>;
  let url: string;
  let key: string;
  let gateway: StartedProcess;
  let worker: StartedProcess;

  const startWorker = () => startFile("node", "cli/main.ts", { args: ["worker", ...LEASE], env });
  beforeAll(async () => {
    const namespace = freshNamespace();
    const own = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir() };
    // What a developer's own environment says of a model server is no part of a test.
    env = { ...own, OPENAI_BASE_URL: undefined, OPENAI_API_KEY: undefined, OPENAI_MODEL: undefined };
    gateway = startFile("node", "cli/main.ts", { args: ["gateway", "--port", "0"], env });
    worker = startWorker();
    browser = await startBrowser();
    url = (await gateway.line(/^listening on /)).slice("listening on ".length);
    await worker.line(/^worker \S+ serves /);
    key = (await adminKey(namespace, redisUrl)).Authorization.slice("Bearer ".length);
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([gateway.stop(), worker.stop()]);
  });

  test("are worked on before one's eyes, also when the worker dies meanwhile", async () => {
    await using visitor = await visit(browser, url, { key });
    const { page, faults, go } = visitor;
    await go("#/start");
    await page
      .getByLabel("Workflow")
      .locator("option", { hasText: "document-analysis" })
      .waitFor({ state: "attached" });
    await page.getByLabel("Document", { exact: true }).setInputFiles(documentPath("geotopo"));
    await page.getByRole("button", { name: "Upload" }).click();
    await page.getByRole("button", { name: /^extract: running/ }).waitFor();
    worker.kill("SIGKILL");
    await worker.exited;
    worker = startWorker();
    await page.getByRole("button", { name: /^report: completed/ }).waitFor({ timeout: 60_000 });
    await page.getByRole("link", { name: "Open the run" }).click();
    await page.getByText("run.completed").waitFor();
    await page.getByRole("button", { name: /^extract: completed, attempt/ }).waitFor();
    await page.getByRole("region", { name: "Output" }).getByText('"pageCount": 117').waitFor();

    await go("#/start");
    await page.getByLabel("A prompt").check();
    await page
      .getByLabel("Prompt", { exact: true })
      .fill("When was it built? It was designed in 1889. The bridge was built in 1894.");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByRole("region", { name: "What generate has emitted" }).getByText("1894").waitFor();

    await page.getByLabel("A document").check();
    await page
      .getByLabel("Document", { exact: true })
      .setInputFiles({ name: "a.png", mimeType: "image/png", buffer: PICTURE });
    await page.getByRole("button", { name: "Upload" }).click();
    await page
      .getByRole("alert")
      .getByText('A document of type "image/png" cannot be analysed', { exact: false })
      .waitFor();
    expect(faults).toEqual([]);
  }, 120_000);
});
