import { describe, expect, test } from "vitest";
import { edgeGateway } from "../../gateway/entry/edge.ts";

const ask = () => new Request("https://edge.example/v1/runs");
const { MillraceGateway, worker } = edgeGateway({ workflows: [] });
const REDIS_URL = "redis://ann:secret@127.0.0.1:1";

describe("a binding that cannot be is told", () => {
  test.each([
    [{ MILLRACE_BLOBS: "redis:" }, "REDIS_URL is not set"],
    [{ REDIS_URL: " ", MILLRACE_BLOBS: "redis:" }, "REDIS_URL is not set"],
    // Only texts are variables.
    [{ REDIS_URL: { url: REDIS_URL }, MILLRACE_BLOBS: "redis:" }, "REDIS_URL is not set"],
    [{ REDIS_URL: "ann:secret@127.0.0.1", MILLRACE_BLOBS: "redis:" }, "REDIS_URL takes a URL"],
    [{ REDIS_URL }, "MILLRACE_BLOBS is not set"],
    [{ REDIS_URL, MILLRACE_BLOBS: "/var/blobs" }, "MILLRACE_BLOBS takes s3://BUCKET or redis: here, not a directory"],
    [{ REDIS_URL, MILLRACE_BLOBS: "azure://a/b" }, "MILLRACE_BLOBS takes s3://BUCKET or redis: here, not azure:"],
    [{ REDIS_URL, MILLRACE_BLOBS: "s3://bucket" }, "s3: needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"],
    [{ REDIS_URL, MILLRACE_BLOBS: "redis:", MILLRACE_NAMESPACE: "a b" }, "MILLRACE_NAMESPACE takes 1 to 40"],
    [{ REDIS_URL, MILLRACE_BLOBS: "redis:", MILLRACE_ORIGINS: "everybody" }, "MILLRACE_ORIGINS takes origins"],
    [{ REDIS_URL, MILLRACE_BLOBS: "redis:", MILLRACE_JWT_ISSUER: "https://a.example" }, "go together"],
    [
      { REDIS_URL, MILLRACE_BLOBS: "redis:", MILLRACE_JWT_ISSUER: "ftp://a", MILLRACE_JWT_AUDIENCE: "m" },
      '"ftp://a" is no https URL',
    ],
    [{ REDIS_URL, MILLRACE_BLOBS: "redis:", OPENAI_BASE_URL: "models" }, "OPENAI_BASE_URL must be an http or https"],
  ])("%j", async (bindings, detail) => {
    const answer = await new MillraceGateway(undefined, { LOG_LEVEL: "fatal", ...bindings }).fetch(ask());
    expect([answer.status, answer.headers.get("content-type")]).toEqual([500, "application/problem+json"]);
    const problem = (await answer.json()) as { detail: string };
    expect(problem).toMatchObject({ type: "urn:millrace:problem:misconfigured", status: 500 });
    expect(problem.detail).toContain(detail);
    expect(problem.detail).not.toContain("secret");
  });

  test("the one to the object, too", async () => {
    const answer = await worker.fetch(ask(), {});
    expect(await answer.json()).toMatchObject({
      ...{ type: "urn:millrace:problem:misconfigured", status: 500 },
      detail: expect.stringContaining("There is no binding MILLRACE_GATEWAY"),
    });
  });
});
