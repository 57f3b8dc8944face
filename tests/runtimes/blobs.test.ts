import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing, RUNTIMES, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import {
  type AzureServer,
  container,
  rawContainer,
  type S3Server,
  startAzure,
  startS3,
} from "../support/servers/objects.ts";
import { startWorkerd } from "../support/workerd.ts";

let s3: S3Server;
let azure: AzureServer;
beforeAll(async () => {
  [s3, azure] = await Promise.all([startS3(), startAzure()]);
  await rawContainer(azure).create();
}, 120_000);
afterAll(() => Promise.all([s3.stop(), azure.stop()]));

describe.each(RUNTIMES)("blobs in S3 and in Azure, under %s", (runtime) => {
  test.skipIf(missing(runtime) !== undefined)(
    "come and go",
    async () => {
      const env = {
        AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
        AZURE_STORAGE_KEY: azure.key,
      };
      const args = [
        `s3://${s3.bucket}/${runtime}?endpoint=${s3.endpoint}&forcePathStyle=true`,
        `azure://${azure.account}/${container}/${runtime}?endpoint=${azure.endpoint}`,
      ];
      const program = startFile(runtime, "tests/support/programs/blobs.ts", { args, env });
      const { code } = await program.exited;
      expect([code, program.output()]).toEqual([0, "well: s3:\nwell: azure:\n"]);
    },
    120_000,
  );
});

test.skipIf(missing("workerd")).each([
  ["S3", () => `s3://${s3.bucket}/workerd?endpoint=${s3.endpoint}&forcePathStyle=true`],
  ["Redis", () => "redis:"],
])("blobs in %s, under workerd, come and go", async (_, where) => {
  const gateway = await startWorkerd("tests/support/programs/edge-blobs.ts", {
    ...{ REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: where() },
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
  });
  const answer = await fetch(gateway.url);
  expect(await answer.text()).toMatch(/^well: (s3|redis):$/);
  await gateway.stop();
});
