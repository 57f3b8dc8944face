import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noBrowser, startBrowser, type Visit, visit } from "../support/browser.ts";
import { browserWorkflows } from "../support/browser-workflows.ts";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";

describe.skipIf(noBrowser)("who operates, in the dashboard,", () => {
  const { workflows, tale, wide, gates } = browserWorkflows();
  let gateway: TestGateway;
  let browser: Browser;
  let visitor: Visit;
  beforeAll(async () => {
    [gateway, browser] = await Promise.all([startGateway({ workflows }), startBrowser()]);
    visitor = await visit(browser, gateway.url);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.close();
  });

  test("sees work at a step, and pauses and resumes it", async () => {
    const { page, go, faults } = visitor;
    const { id } = await gateway.millrace.runs.start(tale, {});
    await go("#/queues?workflow=tale");
    const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: /^tell/ }) });
    await expect.poll(() => row.getByRole("cell").nth(1).textContent()).toBe("1");
    await page.getByText("alive 1").waitFor();
    await row.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await row.getByText("paused").waitFor();
    expect(await gateway.millrace.paused()).toMatchObject([{ workflow: "tale", step: "tell" }]);
    await row.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
    await row.getByText("active").waitFor();
    gates.open(id);
    await expect.poll(() => row.getByRole("cell").nth(1).textContent()).toBe("0");
    expect(faults).toEqual([]);
  });

  test("makes a schedule, is told what is wrong with it, runs it now and deletes it", async () => {
    const { page, go } = visitor;
    await go("#/schedules");
    await page.getByText("There are no schedules.").waitFor();
    await page.getByRole("button", { name: "New schedule" }).click();
    const dialog = page.getByRole("dialog", { name: "New schedule" });
    await dialog.getByLabel("Name").fill("hourly");
    await dialog.getByLabel("Workflow").selectOption("wide");
    await dialog.getByLabel("Times").fill("never");
    await dialog.getByLabel("Input, as JSON").fill('{"n": 2}');
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Times").fill("0 * * * *");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("row").filter({ hasText: "hourly" }).getByRole("button", { name: "Run now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
    await page.getByRole("heading", { name: "wide" }).waitFor();
    await page.getByText("run.completed").waitFor();
    await go("#/schedules");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("There are no schedules.").waitFor();
  });

  test("changes the configuration, but not what somebody else has changed meanwhile", async () => {
    const { page, go } = visitor;
    await gateway.millrace.config.set("quote.limit", 1);
    await go("#/configuration");
    const row = page.getByRole("row").filter({ hasText: "quote.limit" });
    const change = async (value: string) => {
      await row.getByRole("button", { name: "Change" }).click();
      const dialog = page.getByRole("dialog", { name: "Change quote.limit" });
      await dialog.getByLabel("Value, as JSON").fill(value);
      return dialog;
    };
    await (await change("2")).getByRole("button", { name: "Save" }).click();
    await row.getByRole("cell", { name: "2", exact: true }).first().waitFor();
    const dialog = await change("3");
    await gateway.millrace.config.set("quote.limit", 4);
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByRole("alert").waitFor();
    expect((await gateway.call("GET", "/v1/config/quote.limit")).body.value).toBe(4);
    await dialog.getByRole("button", { name: "Close" }).click();
  });

  test("sees what was used, by workflow", async () => {
    const { page, go } = visitor;
    const { id } = await gateway.millrace.runs.start(wide, { n: 1 });
    for await (const _ of gateway.millrace.watch(id));
    await eventually(
      () => gateway.call("GET", "/v1/usage"),
      ({ body }) => body.tokens > 0,
    );
    await go("#/usage");
    await page.getByRole("row", { name: /^wide \d+/ }).waitFor();
  });
});
