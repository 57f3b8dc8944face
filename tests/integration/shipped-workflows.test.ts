import { createReadStream } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import {
  connect,
  createWorker,
  InvalidInputError,
  type Millrace,
  type RunEvent,
  type RunView,
  readBlob,
  type Worker,
} from "../../engine/index.ts";
import { refOf } from "../../workflows/document-analysis/records.ts";
import type { Analysis, DocumentRef } from "../../workflows/document-analysis/shapes.ts";
import { documentAnalysis, shipped } from "../../workflows/index.ts";
import { documentPath, noDocuments } from "../support/documents.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const STEPS = ["identify", "extract", "segment", "analyse", "report"];

let millrace: Millrace;
let worker: Worker;
beforeAll(async () => {
  const blobs = new FsBlobStore(await temporaryDir());
  millrace = await connect({ url: redisUrl, namespace: freshNamespace(), workflows: shipped, blobs });
  worker = createWorker(millrace);
  await worker.start();
});
afterAll(async () => {
  await worker?.stop();
  await millrace?.close();
});

async function upload(name: Parameters<typeof documentPath>[0]): Promise<DocumentRef> {
  const source = { tenant: "default", name: `${name}.pdf`, type: "application/pdf" };
  return refOf(await millrace.blobs.put(source, createReadStream(documentPath(name))));
}

/** Every event of a run, from its first to its last. */
async function eventsOf(run: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const message of millrace.watch(run, { signal: AbortSignal.timeout(60_000) }))
    if (message.type !== "reset") events.push(message);
  return events;
}

async function ended(workflow: string, input: unknown): Promise<{ run: RunView; events: RunEvent[] }> {
  const { id } = await millrace.runs.start(workflow, input);
  const events = await eventsOf(id);
  return { run: await millrace.runs.get(id), events };
}

describe.skipIf(noDocuments)("document-analysis, run by a worker", () => {
  test("reads a book, and who watches sees how far it is", async () => {
    const { run, events } = await ended("document-analysis", { document: await upload("geotopo") });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    const ofSteps = events.filter(({ type }) => type === "step.started" || type === "step.completed");
    expect(ofSteps.map(({ type, step }) => `${step} ${type}`)).toEqual(
      STEPS.flatMap((step) => [`${step} step.started`, `${step} step.completed`]),
    );
    expect(events.at(-1)!.type).toBe("run.completed");

    const progress = events.filter(({ type, step }) => type === "step.progress" && step === "extract");
    expect(progress.length).toBeGreaterThan(0);
    for (const { data } of progress)
      expect(data).toEqual({ progress: expect.any(Number), message: expect.stringMatching(/^page \d+ of 117$/) });

    expect(run).toMatchObject({ status: "completed", output: { title: "Geometrie und Topologie", language: "de" } });
    for (const step of STEPS) expect(run.steps[step]).toMatchObject({ status: "completed", attempt: 1 });
    const { pages, keySentences } = run.output as Analysis;
    expect(keySentences).toHaveLength(20);
    const texts = JSON.parse(new TextDecoder().decode(await readBlob(millrace.blobs, "default", pages.document.id)));
    expect(texts).toHaveLength(117);
  });

  test("fails once for a PDF with a password, with a dead letter, and goes on with the next", async () => {
    const { run, events } = await ended("document-analysis", { document: await upload("password") });
    expect(run).toMatchObject({ status: "failed", error: { code: "document_encrypted" } });
    expect(run.error!.message).toMatch(/encrypted and needs a password/);
    expect(run.steps.extract).toMatchObject({ status: "failed", attempt: 1 });
    expect(events.filter(({ type }) => type === "step.retrying")).toEqual([]);
    const { data: letters } = await millrace.deadLetters.list({ workflow: "document-analysis", step: "extract" });
    expect(letters).toMatchObject([{ run: run.id, step: "extract", error: { code: "document_encrypted" } }]);

    const next = await ended("document-analysis", { document: await upload("outline") });
    expect(next.run).toMatchObject({ status: "completed", output: { pageCount: 4 } });
  });

  test("takes no document of a type that it cannot read", async () => {
    const document = { ...(await upload("outline")), type: "image/png" };
    await expect(millrace.runs.start(documentAnalysis, { document })).rejects.toThrow(InvalidInputError);
  });
});

describe("inference, run by a worker without a model server", () => {
  test("answers from the prompt, and who watches reads along", async () => {
    const text = "The mill stands by the river. It was built in 1750 by a family of weavers. Its wheel turns no more.";
    const { run, events } = await ended("inference", { prompt: `${text} Which family built it?` });
    expect(run).toMatchObject({
      status: "completed",
      output: {
        text: "It was built in 1750 by a family of weavers.",
        model: "millrace-extractive-1",
        finishReason: "stop",
      },
    });
    const said = events.filter(({ type }) => type === "step.output").map(({ data }) => (data as { text: string }).text);
    expect(said.join("")).toBe("It was built in 1750 by a family of weavers.");
  });

  test("fails once for a model that is not there", async () => {
    const { run } = await ended("inference", { prompt: "Hi", model: "gpt-9" });
    expect(run).toMatchObject({ status: "failed", error: { code: "model_unavailable" } });
    expect(run.steps.generate).toMatchObject({ status: "failed", attempt: 1 });
  });
});
