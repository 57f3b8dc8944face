import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentPath, noDocuments } from "../support/documents.ts";
import { readMarkdown } from "../support/markdown.ts";
import { missing, RUNTIMES, type Runtime, startFile, startProgram } from "../support/process.ts";
import { Product } from "../support/product.ts";
import { temporaryDir } from "../support/run.ts";
import { noTerminal, onTerminal } from "../support/terminal.ts";

let product: Product;
let env: Record<string, string | undefined>;
let text: string;
beforeAll(async () => {
  product = await Product.start("node");
  env = { MILLRACE_URL: product.url, MILLRACE_KEY: product.key.Authorization.slice("Bearer ".length) };
  text = `${await temporaryDir()}/bridge.txt`;
  await writeFile(text, "The bridge was built in 1894. It stands.");
}, 60_000);
afterAll(() => product[Symbol.asyncDispose]());

async function upload(args: string[], more: Record<string, string> = {}, runtime: Runtime = "node") {
  const command = startFile(runtime, "cli/main.ts", { args: ["upload", ...args], env: { ...env, ...more } });
  const { code } = await command.exited;
  return { code, output: command.output().trimEnd() };
}

const analysis = ["--workflow", "document-analysis"];

test.skipIf(noDocuments)("a PDF is sent, analysed, and watched to its end", async () => {
  const { code, output } = await upload([documentPath("outline"), ...analysis, "--watch", "--json"]);
  expect(code).toBe(0);
  const [uploaded, ...events] = output.split("\n").map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ seq: 1, type: "run.queued", run: uploaded.run });
  expect(events.at(-1)).toMatchObject({ type: "run.completed", seq: events.length });
  const { body } = await product.get(`/v1/runs/${uploaded.run}`);
  expect(body.input.document).toMatchObject({ name: "outline.pdf", type: "application/pdf" });
  expect(body.output.pageCount).toBeGreaterThan(0);
});

describe.concurrent.each(RUNTIMES)("under %s", (runtime) => {
  test.skipIf(missing(runtime))("a document's id is printed, or that of the run that was started with it", async () => {
    const [document, run] = await Promise.all([
      upload([text, "--name", "notes.md"], {}, runtime),
      upload([text, ...analysis], {}, runtime),
    ]);
    expect([document.code, run.code]).toEqual([0, 0]);
    expect((await product.get(`/v1/documents/${document.output}`)).status).toBe(200);
    expect(await product.ended(run.output)).toMatchObject({
      status: "completed",
      input: { document: { name: "bridge.txt" } },
    });
  });
});

test("what cannot be is refused, by the exit code that says why", async () => {
  const ended = await Promise.all([
    upload([`${text}.none`]),
    upload([await temporaryDir()]),
    upload([text, "--watch"]),
    upload([text, "--url", "ftp://host"]),
    upload([text, "--workflow", "none"]),
    upload([text, "--key", `mr_${"0".repeat(32)}_${"a".repeat(52)}`]),
    upload([text, "--url", "http://127.0.0.1:1"]),
  ]);
  expect(ended.map(({ code }) => code)).toEqual([2, 2, 2, 2, 3, 1, 4]);
  for (const { output } of ended) expect(output).toMatch(/^millrace: .*$/m);
  for (const { output } of ended) expect(output).not.toMatch(/^\s+at |mr_/m);
});

test("the README's commands do what it says of them", async () => {
  const { blocks } = await readMarkdown("README.md");
  const { code } = blocks.find(({ info, code }) => info === "sh" && code.includes("millrace -- doctor"))!;
  const [doctor, sent, list, queues, ...others] = await Promise.all(
    code
      .replace("paper.pdf", text)
      .replace("queues --watch", "queues --watch | head -n 1")
      .trimEnd()
      .split("\n")
      .map(async (line) => {
        const command = startProgram("sh", ["-c", line], { env: { ...env, ...product.env } });
        return { code: (await command.exited).code, output: command.output() };
      }),
  );
  expect(others).toEqual([]);
  expect(doctor).toEqual({ code: 0, output: expect.stringMatching(/^ok\tblobs\t/m) });
  expect(sent).toEqual({ code: 0, output: expect.stringMatching(/\trun\.completed\t[^\n]*\n$/) });
  expect(JSON.parse(list!.output)).toEqual({ data: [] });
  expect(queues!.output).toMatch(/^\S+\tdocument-analysis@1\tidentify\t/);
}, 60_000);

test.skipIf(noTerminal)("on a terminal each step has a bar", async () => {
  const shown = onTerminal(`upload '${text}' ${analysis.join(" ")} --watch`, { ...env, NO_COLOR: "1" });
  expect((await shown.exited).code).toBe(0);
  const lines = shown.output().split("\r\n");
  expect(lines.some((line) => /upload +█{24} +100 %/.test(line))).toBe(true);
  for (const step of ["identify", "report"])
    expect(lines.some((line) => new RegExp(`${step} +█{24} +100 %  completed`).test(line))).toBe(true);
  expect(shown.output()).toMatch(/run \S+ {2}completed/);
});
