import { readFile } from "node:fs/promises";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentPath, noDocuments } from "../support/documents.ts";
import { TestSocket, TestStream } from "../support/live-clients.ts";
import { GATEWAY_RUNTIMES, missing } from "../support/process.ts";
import { Product } from "../support/product.ts";

const STEPS = ["identify", "extract", "segment", "analyse", "report"];
const TEXT = "The mill stands by the river. It was built in 1750 by a family of weavers. Its wheel turns no more.";
const ANSWER = "It was built in 1750 by a family of weavers.";

type Event = { seq: number; type: string; step?: string; cursor: string; at: string; data: { message?: string } };
const isProgress = ({ type, step }: Event) => type === "step.progress" && step === "extract";

describe.skipIf(noDocuments).each(GATEWAY_RUNTIMES)("millrace gateway and millrace worker under %s", (runtime) => {
  describe.skipIf(missing(runtime))("with the shipped workflows", () => {
    let product: Product;
    beforeAll(async () => {
      product = await Product.start(runtime);
    });
    afterAll(async () => {
      expect(await product?.stop()).toEqual([runtime === "workerd" ? null : 0, 0]);
    });

    /** Uploads the book of 117 pages. */
    async function uploadBook(): Promise<{ id: string; events: string; acceptedAt: number }> {
      const { status, body, headers } = await product.upload("geotopo.pdf", { path: documentPath("geotopo") });
      expect(status).toBe(202);
      expect(headers.get("location")).toBe(body.links.self);
      expect(body).toMatchObject({ status: "queued", document: { name: "geotopo.pdf", size: 1_793_479 } });
      return { id: body.id, events: `${product.url}${body.links.events}`, acceptedAt: Date.now() };
    }

    test("a book is uploaded, watched live in every way, and its analysis read", async () => {
      const { id, events, acceptedAt } = await uploadBook();

      const whole = new TestSocket(events, product.key);
      const stream = await TestStream.open(events, { headers: product.key });
      const [cutSocket, cutStream] = [
        new TestSocket(events, product.key),
        await TestStream.open(events, { headers: product.key }),
      ];
      const { cursor } = await cutSocket.first(isProgress);
      cutSocket.socket.terminate();
      await cutStream.first(isProgress);
      cutStream.cut();
      await cutStream.ended;
      const resumedSocket = new TestSocket(`${events}?after=${cursor}`, product.key);
      const headers = { ...product.key, "Last-Event-ID": cutStream.frames.at(-1)!.id };
      const resumedStream = await TestStream.open(events, { headers });
      await whole.first(({ type, step }: Event) => type === "step.completed" && step === "extract");
      const late = new TestSocket(`${events}?after=0`, product.key);
      for (const socket of [whole, resumedSocket, late])
        expect(await socket.closed).toEqual({ code: 1000, reason: "the run has ended" });
      await Promise.all([stream.ended, resumedStream.ended]);
      const afterwards = new TestSocket(events, product.key);
      await afterwards.closed;

      const all: Event[] = whole.messages;
      expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
      expect(all.map(({ type }) => type).slice(0, 2)).toEqual(["run.queued", "run.started"]);
      expect(all.at(-1)).toMatchObject({ type: "run.completed" });
      expect(Date.parse(all.at(-1)!.at)).toBeGreaterThan(acceptedAt);
      for (const step of STEPS) {
        const types = all.filter((event) => event.step === step).map(({ type }) => type);
        expect(types).toEqual(["step.started", ...types.slice(1, -1).map(() => "step.progress"), "step.completed"]);
        expect(types.length, step).toBeGreaterThan(2);
      }
      for (const { data } of all.filter(isProgress)) expect(data.message).toMatch(/^page \d+ of 117$/);

      expect(late.messages).toEqual(all);
      expect(afterwards.messages).toEqual(all);
      expect(stream.messages).toEqual(all);
      expect(stream.frames).toEqual(all.map(({ cursor, type }) => ({ id: cursor, event: type })));
      // What it had heard before the cut may have been more than what it resumed after.
      const seen = cutSocket.messages.filter(({ seq }: Event) => seq <= Number.parseInt(cursor, 10));
      expect([...seen, ...resumedSocket.messages]).toEqual(all);
      expect([...cutStream.messages, ...resumedStream.messages]).toEqual(all);
      expect(resumedSocket.messages.length).toBeLessThan(all.length);
      expect(resumedStream.messages.length).toBeLessThan(all.length);

      const { status, body: run } = await product.get(`/v1/runs/${id}`);
      expect(status).toBe(200);
      expect(run).toMatchObject({ status: "completed", workflow: "document-analysis", seq: all.length });
      for (const step of STEPS) expect(run.steps[step]).toMatchObject({ status: "completed", attempt: 1 });
      expect(run.output).toMatchObject({
        ...{ title: "Geometrie und Topologie", pageCount: 117, language: "de" },
        dates: [{ date: "2016-12-31", page: 1 }, { date: "2014-02-11" }],
        amounts: [{ value: 10, currency: "EUR" }],
      });
      expect(run.output.keySentences.length).toBeGreaterThan(5);
      const file = await product.get(`/v1/documents/${run.output.pages.document.id}`);
      expect(file.headers.get("content-disposition")).toMatch(/^attachment/);
      expect(file.body.map(({ page }: { page: number }) => page)).toEqual(Array.from({ length: 117 }, (_, i) => i + 1));
      expect(file.body[1].text).toContain("Dieses Skript wurde im Wintersemester 2013/2014");
    });

    test("bad documents end clearly and are not tried again, and the worker goes on", async () => {
      const whole = await readFile(documentPath("geotopo"));
      const atTheDoor = [
        [await product.upload("empty.pdf", ""), 422, "empty-document"],
        [await product.upload("text.pdf", "This is only text."), 415, "not-a-pdf"],
      ] as const;
      for (const [{ status, headers, body }, expected, type] of atTheDoor) {
        expect(headers.get("content-type")).toBe("application/problem+json");
        expect([status, body.status, body.type]).toEqual([expected, expected, `urn:millrace:problem:${type}`]);
      }
      const accepted = [
        [{ path: documentPath("password") }, "document_encrypted", /encrypted and needs a password/],
        [whole.subarray(0, 900_000), "document_damaged", /damaged or was cut off/],
      ] as const;
      for (const [content, code, message] of accepted) {
        const { status, body } = await product.upload("bad.pdf", content);
        expect(status).toBe(202);
        const run = await product.ended(body.id);
        const error = { code, message: expect.stringMatching(message) };
        expect(run).toMatchObject({ status: "failed", error });
        expect(run.steps.extract).toMatchObject({ status: "failed", attempt: 1, error });
        const letters = await product.get("/v1/dead-letters?workflow=document-analysis&step=extract");
        expect(letters.body.data[0]).toMatchObject({ run: body.id, step: "extract", attempt: 1, error });
      }
      const next = await product.upload("outline.pdf", { path: documentPath("outline") });
      expect(await product.ended(next.body.id)).toMatchObject({ status: "completed", output: { pageCount: 4 } });
    });

    test("a prompt is answered within the wait, and as it comes", async () => {
      const prompt = `${TEXT} Which family built it?`;
      const waited = await product.post("/v1/inference", { prompt }, { Prefer: "wait=10" });
      expect(waited.status).toBe(200);
      expect(waited.headers.get("preference-applied")).toBe("wait=10");
      expect(waited.body).toMatchObject({ status: "completed", output: { text: ANSWER } });

      const init = product.json({ prompt }, { Accept: "text/event-stream" });
      const stream = await TestStream.open(`${product.url}/v1/inference`, init);
      await stream.ended;
      expect(stream.messages.map(({ seq }) => seq)).toEqual(stream.messages.map((_, index) => index + 1));
      expect(stream.messages.at(-1)).toMatchObject({ type: "run.completed" });
      const said = stream.messages.flatMap(({ type, data }) => (type === "step.output" ? [data.text] : []));
      expect(said.join("")).toBe(ANSWER);
    });

    test("OpenAI's client is answered, as it comes, and given vectors", async () => {
      const client = new OpenAI({
        baseURL: `${product.url}/v1`,
        apiKey: product.key.Authorization.slice("Bearer ".length),
        maxRetries: 0,
      });
      const messages: OpenAI.ChatCompletionMessageParam[] = [
        { role: "user", content: `${TEXT} Which family built it?` },
      ];
      const asked = { model: "millrace-extractive-1", messages, stream: true as const };
      const options = { headers: { "Idempotency-Key": "mill" } };
      for (const _ of ["first", "again"]) {
        let said = "";
        for await (const { choices } of await client.chat.completions.create(asked, options))
          said += choices[0]?.delta.content ?? "";
        expect(said).toBe(ANSWER);
      }
      const { data } = await client.embeddings.create({ model: "millrace-hashing-1", input: TEXT });
      expect(data[0]!.embedding).toHaveLength(512);
      const error = await client.chat.completions.create({ ...asked, n: 2 }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    });

    test("a running run is cancelled: its watchers hear of it, and its worker lets go of it", async () => {
      const { id, events } = await uploadBook();
      const socket = new TestSocket(events, product.key);
      await socket.first(({ type, step }: Event) => type === "step.started" && step === "extract");
      const answer = await product.post(`/v1/runs/${id}/cancel`, {});
      expect(answer.status).toBe(202);
      expect(await socket.closed).toEqual({ code: 1000, reason: "the run has ended" });
      expect(socket.messages.at(-1)).toMatchObject({ type: "run.cancelled" });
      const done = socket.messages.filter(({ type }) => type === "step.completed").map(({ step }) => step);
      expect(done).toEqual(STEPS.slice(0, done.length));
      const { body: run } = await product.get(`/v1/runs/${id}`);
      expect(run).toMatchObject({ status: "cancelled", steps: { [STEPS[done.length]!]: { status: "cancelled" } } });
      expect(
        (await product.get("/v1/dead-letters")).body.data.filter((letter: { run: string }) => letter.run === id),
      ).toEqual([]);

      const next = await product.upload("outline.pdf", { path: documentPath("outline") });
      expect(await product.ended(next.body.id)).toMatchObject({ status: "completed" });
      const { body: queues } = await product.get("/v1/queues");
      // Who sends webhooks starts with the first of them.
      const ours = queues.data.filter(({ workflow }: { workflow: string }) => workflow !== "webhook-delivery");
      for (const queue of ours) expect(queue).toMatchObject({ depth: 0, inFlight: 0, delayed: 0, workers: 1 });
    });
  });
});
