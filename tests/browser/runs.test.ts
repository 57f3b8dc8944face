import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noBrowser, startBrowser, visit } from "../support/browser.ts";
import { browserWorkflows } from "../support/browser-workflows.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";

describe.skipIf(noBrowser)("the dashboard's runs", () => {
  const { workflows, tale, approval, fragile, wide, gates, broken } = browserWorkflows();
  let gateway: TestGateway;
  let browser: Browser;
  beforeAll(async () => {
    [gateway, browser] = await Promise.all([startGateway({ workflows }), startBrowser()]);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.close();
  });

  const status = (page: Page, name: string) => page.locator("main .facts").first().getByText(name).waitFor();
  const step = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).waitFor();

  test("come up in the list as they start, and change there as they go on", async () => {
    await using visitor = await visit(browser, gateway.url);
    const { page, faults } = visitor;
    await page.getByText("Live").waitFor();
    const { id } = await gateway.millrace.runs.start(tale, {}, { tags: ["listed"] });
    const row = page.getByRole("row").filter({ has: page.locator(`a[title="${id}"]`) });
    await row.getByText("running").waitFor();
    await page.getByLabel("Status").selectOption("failed");
    await page.getByText("No run fits this filter.").waitFor();
    await page.getByLabel("Status").selectOption("");
    await row.getByRole("link", { name: "listed" }).click();
    await row.getByText("running").waitFor();
    expect(page.url()).toContain("tag=listed");
    gates.open(id);
    await row.getByText("completed").waitFor();
    expect(faults).toEqual([]);
  });

  test("are paged through by cursor, however many there are", async () => {
    const started = await Promise.all(
      Array.from({ length: 60 }, (_, i) => gateway.millrace.runs.start(fragile, { name: `n${i}` }, { tags: ["many"] })),
    );
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go("#/runs?tag=many");
    const rows = page.locator("tbody tr");
    await page.getByText("Page 1").waitFor();
    const seen = new Set<string | null>();
    const note = async (count: number) => {
      await expect.poll(() => rows.count()).toBe(count);
      for (const link of await page.locator("tbody th a").all()) seen.add(await link.getAttribute("title"));
    };
    await note(50);
    await page.getByRole("button", { name: "Older" }).click();
    await page.getByText("Page 2").waitFor();
    await note(10);
    expect([...seen].sort()).toEqual(started.map(({ id }) => id).sort());
    expect(await page.getByRole("button", { name: "Older" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Newer" }).click();
    await page.getByText("Page 1").waitFor();
  });

  test("show their graph moving and their text as it comes, and after a time offline the log has no gap", async () => {
    const { id } = await gateway.millrace.runs.start(tale, {});
    await using visitor = await visit(browser, gateway.url);
    const { page, context, faults, go } = visitor;
    await go(`#/runs/${id}`);
    await step(page, "begin: completed");
    await step(page, "tell: running, 50 %");
    await step(page, "end: pending");
    const text = page.getByRole("region", { name: "What tell has emitted" });
    await text.getByText("Once upon a time", { exact: false }).waitFor();
    await context.setOffline(true);
    gates.open(id);
    for await (const _ of gateway.millrace.watch(id));
    await context.setOffline(false);
    await status(page, "completed");
    await text.getByText("Once upon a time there was a mill.").waitFor();
    await page.getByText("run.completed").waitFor();
    const numbers = await page
      .locator("li[data-seq]")
      .evaluateAll((all) => all.map((each) => Number(each.dataset.seq)));
    const { seq } = await gateway.millrace.runs.get(id);
    expect(numbers.reverse()).toEqual(Array.from({ length: seq }, (_, i) => i + 1));
    expect(faults).toEqual([]);
  });

  test("that wait are approved by a signal, and what is no JSON is said so in the dialog", async () => {
    const { id } = await gateway.millrace.runs.start(approval, { cents: 4_200 });
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go(`#/runs/${id}`);
    await page.getByRole("button", { name: "Send the signal" }).click();
    const dialog = page.getByRole("dialog", { name: "Signal decision" });
    await dialog.getByLabel("What it brings, as JSON").fill("{approved");
    await dialog.getByRole("button", { name: "Send" }).click();
    await dialog.getByText("This is not JSON").waitFor();
    await dialog.getByLabel("What it brings, as JSON").fill('{"approved": true}');
    await dialog.getByRole("button", { name: "Send" }).click();
    await status(page, "completed");
    await page.getByRole("region", { name: "Output" }).getByText("paid").waitFor();
  });

  test("that failed go on by a replay, and the log with them", async () => {
    broken.add("Eve");
    const { id } = await gateway.millrace.runs.start(fragile, { name: "Eve" });
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go("#/dead-letters");
    await page.getByRole("row").filter({ hasText: "Eve is broken" }).getByRole("link", { name: "try" }).click();
    await page.getByRole("heading", { name: "What the step was given" }).waitFor();
    await page.getByText("Attempt 1").waitFor();
    broken.delete("Eve");
    await page.getByRole("button", { name: "Replay" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Replay" }).click();
    await page.waitForURL(`**/#/runs/${id}`);
    await status(page, "completed");
    await page.getByText("run.failed").waitFor();
    await page.getByText("run.completed").waitFor();
    expect((await gateway.millrace.deadLetters.list()).data).toEqual([]);
  });

  test("of dead letters that fit a filter are replayed together", async () => {
    for (const name of ["Kim", "Lou"]) broken.add(name);
    const started = [];
    for (const name of ["Kim", "Lou"]) started.push(await gateway.millrace.runs.start(fragile, { name }));
    for (const { id } of started) for await (const _ of gateway.millrace.watch(id));
    for (const name of ["Kim", "Lou"]) broken.delete(name);
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go("#/dead-letters?errorCode=broken");
    await page.getByRole("button", { name: "Replay these" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Replay" }).click();
    await page.getByText("Replayed 2 of 2.").waitFor();
    await page.getByText("No dead letter fits this filter.").waitFor();
  });

  test("are cancelled, and run again from a step with another input", async () => {
    const { id } = await gateway.millrace.runs.start(tale, {});
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go(`#/runs/${id}`);
    await step(page, /^tell: running/);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await status(page, "cancelled");

    const done = await gateway.millrace.runs.start(fragile, { name: "Ann" });
    for await (const _ of gateway.millrace.watch(done.id));
    await go(`#/runs/${done.id}`);
    await page.getByRole("button", { name: "Run again" }).click();
    const dialog = page.getByRole("dialog", { name: "Run again from a step" });
    await dialog.getByLabel("From the step").selectOption("try");
    await dialog.getByLabel("Another input, as JSON").fill('{"name": "Bea"}');
    await dialog.getByRole("button", { name: "Start the new run" }).click();
    await page.getByRole("region", { name: "Output" }).getByText("Bea is mended").waitFor();
    expect(page.url()).not.toContain(done.id);
  });

  test("with maps show their items", async () => {
    const { id } = await gateway.millrace.runs.start(wide, { n: 30 });
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await go(`#/runs/${id}`);
    await page.getByRole("button", { name: "item: completed, 30 of 30" }).click();
    const items = page.getByRole("region", { name: "Items of item" });
    await items.getByRole("row", { name: "24 completed" }).waitFor();
    await page.getByRole("button", { name: "Later" }).click();
    await items.getByRole("row", { name: "29 completed" }).waitFor();
  });
});
