import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { testKit } from "../../../engine/testing/index.ts";
import { book, bookPage } from "../../../workflows/examples/book-pages.ts";
import { decide, expenseApproval } from "../../../workflows/examples/expense-approval.ts";
import { linkCheck } from "../../../workflows/examples/link-check.ts";
import { noticeDelivery } from "../../../workflows/examples/notice-delivery.ts";
import { researchAgent } from "../../../workflows/examples/research-agent.ts";
import { supportTickets } from "../../../workflows/examples/support-tickets.ts";
import { trialReminder } from "../../../workflows/examples/trial-reminder.ts";
import { trip } from "../../../workflows/examples/trip.ts";
import { kitOptions } from "../../support/kit.ts";

/** A server that answers by what is asked, while `use` goes on. */
async function serving<T>(answer: (path: string) => number, use: (url: string) => Promise<T>): Promise<T> {
  const server: Server = createServer((request, response) => response.writeHead(answer(request.url ?? "")).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("trip: a flight and a hotel make an offer", async () => {
  await using kit = await testKit([trip], kitOptions());
  const run = await kit.run(trip, { city: "Lyon", nights: 2 });
  expect(run.output).toEqual({ flight: "to Lyon", hotel: "in Lyon", cents: 28_000 });
});

test("support-tickets: each goes its own way to one reply", async () => {
  await using kit = await testKit([supportTickets], kitOptions());
  const refunded = await kit.run(supportTickets, { text: "I want my money back", cents: 900 });
  expect(refunded).toMatchObject({
    output: `We refund 900 cents by ${refunded.id}:refund.`,
    steps: { refund: { status: "completed" }, advise: { status: "skipped" } },
  });
  const advised = await kit.run(supportTickets, { text: "It hums", cents: 900 });
  expect(advised).toMatchObject({ output: "Have you restarted it?", steps: { refund: { status: "skipped" } } });
});

test("link-check: dead links are in the report, and a busy server is asked again", async () => {
  await using kit = await testKit([linkCheck], kitOptions());
  let busy = 2;
  await serving(
    (path) => (path === "/gone" ? 404 : path === "/busy" && busy-- > 0 ? 503 : 200),
    async (url) => {
      const links = ["/one", "/gone", "/busy"].map((path) => url + path);
      const run = await kit.run(linkCheck, { links });
      expect(run.output).toEqual({ alive: 2, dead: [`${url}/gone is not there.`] });
      expect(run.steps.check).toMatchObject({ status: "completed", items: { total: 3, done: 2, failed: 1 } });
    },
  );
});

test("research-agent: turns until it knows, each with its own events", async () => {
  await using kit = await testKit([researchAgent], kitOptions());
  const run = await kit.run(researchAgent, { question: "why" });
  expect(run.output).toBe("result of search why 1, result of search why 2");
  const turns = (await kit.events(run.id)).filter(({ type, step }) => type === "step.output" && step === "turn");
  expect(turns.map(({ item }) => item)).toEqual([0, 1, 2]);
});

test("trial-reminder: three days before, and on the day", async () => {
  await using kit = await testKit([trialReminder], kitOptions());
  const started = await kit.start(trialReminder, {
    customer: "Ada",
    endsAt: new Date(Date.now() + 14 * 86_400_000).toISOString(),
  });
  await kit.clock.advance("10 days");
  expect((await kit.millrace.runs.get(started.id)).steps["until-soon"]).toMatchObject({ status: "waiting" });
  await kit.clock.advance("2 days");
  expect((await kit.millrace.runs.get(started.id)).steps.remind).toMatchObject({ status: "completed" });
  const run = await kit.ended(started);
  expect(run.output).toEqual(["Ada: your trial ends in three days", "Your trial ends today."]);
  const days = (Date.parse(run.endedAt!) - Date.parse(run.createdAt)) / 86_400_000;
  expect(Math.round(days)).toBe(14);
});

test("expense-approval: somebody decides, by two clicks, or nobody does", async () => {
  await using kit = await testKit([expenseApproval], kitOptions());
  const approved = await kit.start(expenseApproval, { cents: 4_200 });
  await kit.until(approved, "run.waiting");
  for (let click = 0; click < 2; click += 1) await decide(kit.millrace, approved.id, "grace", true);
  expect((await kit.ended(approved)).output).toBe("filed: paid");
  const left = await kit.run(expenseApproval, { cents: 4_200 });
  expect(left).toMatchObject({ output: "filed: sent to the manager", steps: { settle: { status: "skipped" } } });
  await expect(decide(kit.millrace, left.id, "grace", true)).rejects.toMatchObject({ code: "signal_settled" });
});

test("book-pages: a run for each page", async () => {
  await using kit = await testKit([book], kitOptions());
  const run = await kit.run(book, { pages: ["It was the best", "", "of times"] });
  expect(run.output).toBe(6);
  const pages = (await kit.millrace.runs.list({ workflow: bookPage.name })).data;
  expect(pages.map(({ status }) => status).sort()).toEqual(["completed", "completed", "failed"]);
});

test("notice-delivery: the second delay is for a receiver that is busy", async () => {
  await using kit = await testKit([noticeDelivery], kitOptions());
  const answers = [500, 429, 200];
  await serving(
    () => answers.shift()!,
    async (url) => {
      const run = await kit.run(noticeDelivery, { url, body: "hello" });
      expect(run.output).toEqual({ attempts: 3 });
      const events = await kit.events(run.id);
      const delays = events
        .filter(({ type }) => type === "step.retrying")
        .map(({ data }) => data as { retryAt: string });
      const started = events.filter(({ type }) => type === "step.started").map(({ at }) => Date.parse(at));
      expect(delays).toHaveLength(2);
      expect(started.slice(1).map((at, i) => Math.floor((at - started[i]!) / 60_000))).toEqual([1, 10]);
    },
  );
});
