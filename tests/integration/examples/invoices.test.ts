import { expect, test } from "vitest";
import { bookAfterAll, bookElsewhere, correct, invoices, ledger } from "../../../workflows/examples/invoices.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("invoices are booked after the ledger was closed, under the right account, and again elsewhere", async () => {
  await using bench = await engineUnderTest([invoices]);
  await bench.worker();
  ledger.isOpen = false;
  const late = await bench.run(invoices, { text: "DE-100 12.50" });
  ledger.isOpen = true;
  const wrong = await bench.run(invoices, { text: "DE-1OO 7" });
  expect([late.error?.code, wrong.error?.code]).toEqual(["ledger_closed", "no_account"]);

  const ended = async ({ id, seq }: typeof late) => {
    await bench.events(id, seq);
    return (await bench.millrace.runs.get(id)).output;
  };
  expect(await bookAfterAll(bench.millrace)).toBe(1);
  expect(await ended(late)).toBe("DE-100: 1250");
  await correct(bench.millrace, (account) => account.replaceAll("O", "0"));
  expect(await ended(wrong)).toBe("DE-100: 700");

  const again = await bench.ended(await bookElsewhere(bench.millrace, wrong.id, "DE-200"));
  expect(again).toMatchObject({ output: "DE-200: 700", metadata: { rerunOf: wrong.id } });
});
