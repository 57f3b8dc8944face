import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { testKit } from "../../../engine/testing/index.ts";
import { rehearseRefusals, renewal } from "../../../workflows/examples/renewal.ts";
import { kitOptions } from "../../support/kit.ts";

const DAY_MS = 86_400_000;

test("a card that is refused three times is charged on the ninth day", async () => {
  const { early, ended, refused, charged } = await rehearseRefusals(kitOptions());
  expect(early.steps.charge).toMatchObject({ status: "retrying", attempt: 3 });
  expect(ended).toMatchObject({ status: "completed", output: "Thank you, Ada. Your receipt: R-1" });
  expect([refused, charged.length, charged[0]!.attempt]).toEqual([3, 1, 4]);
  const days = (Date.parse(ended.endedAt!) - Date.parse(ended.createdAt)) / DAY_MS;
  expect(Math.floor(days)).toBe(9);
});

test("the bank is asked with the same key each time", async () => {
  const keys: unknown[] = [];
  const bank = createServer((request, response) => {
    keys.push(request.headers["idempotency-key"]);
    response.writeHead(keys.length === 1 ? 402 : 200).end("R-2");
  });
  await new Promise<void>((resolve) => bank.listen(0, "127.0.0.1", resolve));
  try {
    const BANK_URL = `http://127.0.0.1:${(bank.address() as AddressInfo).port}`;
    await using kit = await testKit([renewal], { ...kitOptions(), env: { BANK_URL } });
    const run = await kit.run(renewal, { customer: "Ada", cents: 900 });
    expect(run.output).toBe("Thank you, Ada. Your receipt: R-2");
    expect(keys).toEqual([`${run.id}:charge`, `${run.id}:charge`]);
  } finally {
    bank.closeAllConnections();
    bank.close();
  }
});
