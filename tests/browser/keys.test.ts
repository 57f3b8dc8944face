import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scope } from "../../engine/index.ts";
import { noBrowser, startBrowser, visit } from "../support/browser.ts";
import { browserWorkflows } from "../support/browser-workflows.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";

describe.skipIf(noBrowser)("the dashboard of a gateway that asks for keys", () => {
  const { workflows, tale, gates } = browserWorkflows();
  let gateway: TestGateway;
  let browser: Browser;
  beforeAll(async () => {
    [gateway, browser] = await Promise.all([startGateway({ workflows, keys: true }), startBrowser()]);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.close();
  });

  const keyOf = (tenant: string, scopes: Scope[] = ["admin"]) =>
    gateway.millrace.access.keys.create({ name: "test", tenant, scopes });

  test("shows each tenant its own runs, live, and nobody's to who has no key", async () => {
    const [acme, beta] = [await keyOf("acme"), await keyOf("beta", ["runs:read"])];
    const { id } = await gateway.millrace.runs.start(tale, {}, { tenant: "acme" });
    await using first = await visit(browser, gateway.url, { key: acme.secret });
    await using second = await visit(browser, gateway.url, { key: beta.secret });
    const row = first.page.locator(`a[title="${id}"]`);
    await row.waitFor();
    await second.page.getByText("There are no runs yet.").waitFor();
    await second.page.getByText("Live").waitFor();
    const other = await gateway.millrace.runs.start(tale, {}, { tenant: "beta" });
    await second.page.locator(`a[title="${other.id}"]`).waitFor();
    expect(await first.page.locator(`a[title="${other.id}"]`).count()).toBe(0);

    await second.go(`#/runs/${id}`);
    await second.page.getByRole("alert").getByText("The run cannot be shown").waitFor();
    await row.click();
    await first.page.getByText("Live").waitFor();
    for (const run of [id, other.id]) gates.open(run);
    await first.page.getByText("run.completed").waitFor();
    expect([...first.faults, ...second.faults]).toEqual([]);

    await using nobody = await visit(browser, gateway.url);
    await nobody.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await nobody.go(`#/runs/${id}`);
    expect(await nobody.page.getByText(id).count()).toBe(0);
  });

  test("offers what a key may do, and says of the rest that it may not", async () => {
    const { secret } = await keyOf("acme", ["runs:read"]);
    const { id } = await gateway.millrace.runs.start(tale, {}, { tenant: "acme" });
    await using visitor = await visit(browser, gateway.url, { key: secret });
    const { page, go } = visitor;
    await go("#/dead-letters");
    await page.getByRole("alert").getByText("This needs the scope dead-letters:read.").waitFor();
    await go(`#/runs/${id}`);
    await page.getByRole("button", { name: /^tell: running/ }).waitFor();
    expect(await page.getByRole("button", { name: "Cancel", exact: true }).count()).toBe(0);
    const offered = page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link");
    expect(await offered.allTextContents()).toEqual(["Runs"]);
    gates.open(id);
  });

  test("keeps the key in its tab alone, and forgets it when it is told to or when the key works no more", async () => {
    const { id, secret } = await keyOf("acme");
    await using visitor = await visit(browser, gateway.url);
    const { page, context } = visitor;
    await page.getByLabel("API key").fill(`mr_${"x".repeat(10)}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("This key does not work.").waitFor();
    await page.getByLabel("API key").fill(secret);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Live").waitFor();
    await page.reload();
    await page.getByText("Live").waitFor();
    expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain(secret);
    const tab = await context.newPage();
    await tab.goto(`${gateway.url}/`);
    await tab.getByLabel("API key").waitFor();

    await gateway.millrace.access.keys.revoke(id);
    await page.goto(`${gateway.url}/#/queues`);
    await page.getByLabel("API key").waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  });
});
