import { expect, test } from "vitest";
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { forget, transcripts } from "../../../workflows/examples/transcripts.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { temporaryDir } from "../../support/run.ts";

test("a caller is forgotten, transcript and all; another is not", async () => {
  const blobs = new FsBlobStore(await temporaryDir());
  await using bench = await engineUnderTest([transcripts], { blobs });
  await bench.worker();
  const ada = await bench.run(transcripts, { caller: "Ada", lines: ["Hello", "Bye"] });
  const bob = await bench.run(transcripts, { caller: "Bob", lines: ["Hi"] });
  expect(ada.output).toMatchObject({ summary: "Ada said 2 lines" });
  await forget(bench.millrace, [ada.id]);
  const found = async (run: typeof ada) =>
    (await blobs.find("default", (run.output as { transcript: string }).transcript))?.name;
  expect([await found(ada), await found(bob)]).toEqual([undefined, "transcript.txt"]);
  expect((await bench.millrace.runs.list()).data.map(({ id }) => id)).toEqual([bob.id]);
});
