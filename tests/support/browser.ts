import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const PATH = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why the tests that want a browser cannot run here; undefined if they can. For `describe.skipIf`. */
export const noBrowser: string | undefined = existsSync(PATH)
  ? undefined
  : `there is no Chromium at ${PATH}; CHROMIUM may name another path`;
if (noBrowser !== undefined) console.warn(`Skipped: ${noBrowser}`);

/** What asks nobody in the background: where the network is closed it would wait for that. */
const QUIET = ["no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"];
const FLAGS = ["no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage", ...QUIET].map(
  (flag) => `--${flag}`,
);

/** On a machine that is busy with other tests. */
const WITHIN_MS = 20_000;

/** One browser for a file's tests, which closes it. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: PATH, args: FLAGS });
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What no page may do: errors of its scripts, what its policy has refused, and requests to anybody but the gateway. */
  readonly faults: readonly string[];
  /** Goes to a page of the dashboard, such as `#/runs`. */
  go(hash: string): Promise<void>;
}

/** Somebody with a browser of their own, at the gateway's dashboard. */
export async function visit(
  browser: Browser,
  url: string,
  { theme = "light", width = 1_280, key }: { theme?: "light" | "dark"; width?: number; key?: string } = {},
): Promise<Visit> {
  const context = await browser.newContext({
    ...{ viewport: { width, height: 900 }, colorScheme: theme, reducedMotion: "reduce", locale: "en-GB" },
  });
  context.setDefaultTimeout(WITHIN_MS);
  const faults: string[] = [];
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== url) faults.push(`a request to ${request.url()}`);
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`an error: ${error.message}`));
  page.on("console", (message) => {
    // An answer that is no success is shown on the page, and Chromium says so here as well.
    const isAnswer = /^Failed to load resource|^WebSocket connection to .* failed/.test(message.text());
    if (message.type() === "error" && !isAnswer) faults.push(message.text());
  });
  await page.goto(`${url}/`);
  if (key !== undefined) {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
  }
  return {
    ...{ page, context, faults },
    async go(hash) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}
