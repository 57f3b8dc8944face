import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { answerOf } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { readMarkdown } from "../../support/markdown.ts";
import { webhookBench } from "../../support/webhooks.ts";

const ADDRESS = "http://localhost:8787";
const execute = promisify(execFile);
const noCurl = await execute("curl", ["--version"]).then(
  () => undefined,
  () => "curl is not installed",
);

test.skipIf(noCurl)("the README's commands have a service told of runs, and let another start them", async () => {
  const { blocks } = await readMarkdown("README.md");
  await using bench = await webhookBench(gatewayWorkflows().workflows, { policy: {} });
  const { url } = bench.gateway;
  const run = async (path: string) => {
    const command = blocks.find(({ info, code }) => info === "sh" && code.includes(`${ADDRESS}${path} `))!.code;
    const env = { ...process.env, NO_PROXY: "*" };
    return JSON.parse((await execute("sh", ["-c", command.replace(ADDRESS, url)], { env })).stdout);
  };
  expect(await run("/v1/webhooks")).toMatchObject({
    ...{ url: "https://shop.example/millrace", workflows: ["greet"], secret: expect.stringMatching(/^whsec_/) },
  });
  const { links } = await run("/v1/inbound-hooks");
  const body = '{"name": "Ada"}';
  const signature = createHmac("sha256", "as given to GitHub").update(body).digest("hex");
  const headers = { "X-Hub-Signature-256": `sha256=${signature}` };
  const answer = await answerOf(await fetch(url + links.receive, { method: "POST", headers, body }));
  expect([answer.status, answer.body]).toEqual([202, expect.objectContaining({ workflow: "greet" })]);
});
