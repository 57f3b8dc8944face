import { expect, test } from "vitest";
import { gather } from "../../gateway/body.ts";

test("a body is gathered without keeping its chunks, of which there may be as many as bytes", async () => {
  const chunk = new Uint8Array(1);
  async function* one(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 5_000; i++) {
      chunk[0] = i & 0xff;
      yield chunk;
    }
  }
  const whole = await gather(one());
  expect(whole).toEqual(Uint8Array.from({ length: 5_000 }, (_, i) => i & 0xff));
});
