import * as v from "valibot";
import { FatalError, type Millrace, workflow } from "../../engine/index.ts";

/** Stands for a ledger whose account numbers are checked, and which is away at times. */
export const ledger = {
  accounts: new Set(["DE-100", "DE-200"]),
  isOpen: true,
  book(account: string, cents: number): string {
    if (!this.isOpen) throw new FatalError("The ledger is closed.", { code: "ledger_closed" });
    if (!this.accounts.has(account)) throw new FatalError(`There is no account ${account}.`, { code: "no_account" });
    return `${account}: ${cents}`;
  },
};

/** Reads an invoice and books it. */
export const invoices = workflow("invoices", { input: v.object({ text: v.string() }) })
  .step("read", ({ text }) => {
    const [account = "", euros = "0"] = text.split(" ");
    return { account, cents: Math.round(Number(euros) * 100) };
  })
  .step("book", ({ account, cents }) => ledger.book(account, cents));

/** The ledger was closed for a while: whatever died of that goes on, however much it is. */
export async function bookAfterAll({ deadLetters }: Millrace): Promise<number> {
  const operation = await deadLetters.replayMany({ workflow: "invoices", errorCode: "ledger_closed" });
  return operation.matched;
}

/** Somebody looks at each invoice with an account that there is not, and says which was meant. */
export async function correct({ deadLetters }: Millrace, meant: (account: string) => string): Promise<void> {
  const { data } = await deadLetters.list({ workflow: "invoices", errorCode: "no_account" });
  for (const { id } of data) {
    const { input } = await deadLetters.get(id);
    const invoice = input as { account: string; cents: number };
    await deadLetters.replay(id, { input: { ...invoice, account: meant(invoice.account) } });
  }
}

/** A booking was to the wrong account: it is booked again, as a run of its own that keeps what was read. */
export async function bookElsewhere({ runs }: Millrace, run: string, account: string): Promise<string> {
  const { steps } = await runs.get(run);
  const read = steps.read?.output as { account: string; cents: number };
  const again = await runs.rerun(run, { from: "book", input: { ...read, account } });
  return again.id;
}
