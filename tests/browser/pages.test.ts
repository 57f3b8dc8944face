import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noBrowser, startBrowser, visit } from "../support/browser.ts";
import { browserWorkflows } from "../support/browser-workflows.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe.skipIf(noBrowser)("the dashboard's pages", () => {
  const { workflows, approval, fragile, wide, broken } = browserWorkflows();
  let gateway: TestGateway;
  let browser: Browser;
  /** Each page, and what it shows once it has been read. */
  const pages: Record<string, { hash: string; shows: string | RegExp }> = {
    runs: { hash: "#/runs", shows: "wide v1" },
    none: { hash: "#/runs?status=cancelled", shows: "No run fits this filter." },
    start: { hash: "#/start", shows: "PDF, plain text and Markdown" },
    queues: { hash: "#/queues", shows: "Workers and consumers" },
    "dead letters": { hash: "#/dead-letters", shows: "Ada is broken" },
    schedules: { hash: "#/schedules", shows: "nightly" },
    configuration: { hash: "#/configuration", shows: "quote.limit" },
    usage: { hash: "#/usage", shows: "Tokens by day" },
    unknown: { hash: "#/nothing", shows: "There is no such page" },
  };

  beforeAll(async () => {
    [gateway, browser] = await Promise.all([startGateway({ workflows }), startBrowser()]);
    const { millrace } = gateway;
    broken.add("Ada");
    const failed = await millrace.runs.start(fragile, { name: "Ada" }, { tags: ["nightly"] });
    const waiting = await millrace.runs.start(approval, { cents: 100 });
    const done = await millrace.runs.start(wide, { n: 3 });
    for (const { id } of [failed, done]) for await (const _ of millrace.watch(id));
    const [letter] = (await millrace.deadLetters.list()).data;
    await millrace.schedules.create({ name: "nightly", workflow: fragile, input: { name: "Bob" }, cron: "0 3 * * *" });
    await millrace.config.set("quote.limit", 250);
    pages["a run that is done"] = { hash: `#/runs/${done.id}`, shows: "run.completed" };
    pages["a run that failed"] = { hash: `#/runs/${failed.id}`, shows: "run.failed" };
    pages["a run that waits"] = { hash: `#/runs/${waiting.id}`, shows: "waits for a signal" };
    pages["a dead letter"] = { hash: `#/dead-letters/${letter!.id}`, shows: "What the step was given" };
  });
  afterAll(async () => {
    await browser.close();
    await gateway.close();
  });

  /** What of a page keeps people from using it, by axe. @param rules default: all */
  async function violations(page: Page, ...rules: string[]): Promise<string[]> {
    const only = rules.length === 0 ? {} : { runOnly: rules };
    const options = JSON.stringify({ resultTypes: ["violations"], preload: false, ...only });
    const { violations: found } = await page.evaluate<AxeResults>(`axe.run(${options})`);
    return found.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  }

  test("can be used by everybody, in both themes, and ask nobody else for anything", async () => {
    await using visitor = await visit(browser, gateway.url);
    const { page, faults, go } = visitor;
    await page.evaluate(axe);
    for (const [name, { hash, shows }] of Object.entries(pages)) {
      await go(hash);
      await page.getByText(shows).first().waitFor();
      expect(await violations(page), `${name} in light`).toEqual([]);
      // Of what axe looks at only colours are not the same.
      await page.emulateMedia({ colorScheme: "dark" });
      expect(await violations(page, "color-contrast"), `${name} in dark`).toEqual([]);
      await page.emulateMedia({ colorScheme: "light" });
    }
    expect(faults).toEqual([]);
  }, 60_000);

  test("fit a telephone", async () => {
    await using visitor = await visit(browser, gateway.url, { width: 375 });
    const { page, go } = visitor;
    for (const [name, { hash, shows }] of Object.entries(pages)) {
      await go(hash);
      await page.getByText(shows).first().waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(375);
    }
  });

  test("are reached by keyboard, and a dialog keeps the focus and gives it back", async () => {
    await using visitor = await visit(browser, gateway.url);
    const { page, go } = visitor;
    await page.keyboard.press("Tab");
    const skip = page.getByRole("button", { name: "Skip to the content" });
    expect(await skip.evaluate((button) => document.activeElement === button)).toBe(true);
    expect((await skip.boundingBox())!.x).toBeGreaterThanOrEqual(0);
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");

    await go("#/schedules");
    const button = page.getByRole("button", { name: "Pause" });
    await button.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Pause nightly?" });
    await dialog.waitFor();
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.closest("dialog, body")?.nodeName)).not.toBe("MAIN");
    }
    await page.evaluate(axe);
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(await button.evaluate((each) => document.activeElement === each)).toBe(true);
  });

  test("keep the theme that was chosen", async () => {
    await using visitor = await visit(browser, gateway.url, { theme: "light" });
    const { page } = visitor;
    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await back();
    await page.getByRole("button", { name: "Theme: auto" }).click();
    await page.getByRole("button", { name: "Theme: light" }).click();
    await page.getByRole("button", { name: "Theme: dark" }).waitFor();
    expect(await back()).not.toBe(light);
    await page.reload();
    await page.getByRole("button", { name: "Theme: dark" }).waitFor();
  });
});
