import "../../support/page.ts";
import { writeFile } from "node:fs/promises";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { build } from "esbuild";
import { type ComponentType, createElement as h } from "react";
import * as v from "valibot";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { openConnections, startGateway, type TestGateway } from "../../support/gateway.ts";
import { block, readMarkdown } from "../../support/markdown.ts";
import { ROOT, temporaryDir } from "../../support/run.ts";

/** As the README's, which has no more to do with this than its type. */
const greet = workflow("greet", { input: v.object({ name: v.string() }) })
  .step("count", ({ name }) => ({ letters: name.length }))
  .step("greet", ({ letters }) => `Your name has ${letters} letters.`);

let gateway: TestGateway;
let App: ComponentType;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [greet] });
  const dir = await temporaryDir();
  const code = block(await readMarkdown("README.md"), "tsx app.tsx");
  await writeFile(`${dir}/app.tsx`, code.replace("localhost:8787", new URL(gateway.url).host));
  // As an application's bundler would, with a React of its own.
  await build({
    ...{ entryPoints: [`${dir}/app.tsx`], outfile: `${dir}/app.mjs`, absWorkingDir: ROOT },
    ...{ bundle: true, format: "esm", jsx: "automatic", external: ["react"], logLevel: "silent" },
  });
  ({ App } = await import(/* @vite-ignore */ `${dir}/app.mjs`));
});
afterEach(cleanup);
afterAll(() => gateway.close());

test("the README's page starts a run, shows it and lists it, and uploads a file", async () => {
  const { container } = render(h(App));
  screen.getByText("idle");
  await screen.findByText("0 of the last greetings");
  fireEvent.click(screen.getByText("Greet Ada"));
  await screen.findByText("Your name has 3 letters.");
  await screen.findByText("1 of the last greetings");

  const input = container.querySelector("input")!;
  const file = new File(["some text"], "a.txt", { type: "text/plain" });
  Object.defineProperty(input, "files", { value: [file] });
  fireEvent.change(input);
  const [, id] = /^It is document ([0-9a-f]+)\.$/.exec((await screen.findByText(/^It is document/)).textContent!)!;
  expect(await (await fetch(`${gateway.url}/v1/documents/${id}`)).text()).toBe("some text");
  cleanup();
  await expect.poll(() => openConnections(gateway)).toBe(0);
});
