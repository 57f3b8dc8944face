import { describe, expect, test } from "vitest";
import {
  ConflictError,
  InvalidInputError,
  MillraceError,
  NotFoundError,
  OverloadedError,
  UnavailableError,
  UnconfirmedError,
} from "../../engine/index.ts";
import { problemOf } from "../../gateway/problem.ts";

describe("what is answered to an error", () => {
  test.each([
    [new NotFoundError("run", "a"), 404, "urn:millrace:problem:not-found"],
    [new InvalidInputError("no", [{ path: ["a"], message: "no" }]), 422, "urn:millrace:problem:invalid-input"],
    [new ConflictError("run_ended", "ended"), 409, "urn:millrace:problem:run-ended"],
    [new ConflictError("idempotency_mismatch", "other"), 422, "urn:millrace:problem:idempotency-mismatch"],
    [new MillraceError("blob_too_large", "More"), 413, "urn:millrace:problem:blob-too-large"],
    [new MillraceError("upload_size", "Two"), 422, "urn:millrace:problem:upload-size"],
    [new OverloadedError("full", 1), 429, "urn:millrace:problem:overloaded"],
    [new UnavailableError("10.0.0.1:6379 refused"), 503, "urn:millrace:problem:unavailable"],
    [new UnconfirmedError("r", "Run r is stored, but"), 503, "urn:millrace:problem:unconfirmed"],
    [new MillraceError("bad_tenant", "secret"), 500, "about:blank"],
    [new TypeError("secret"), 500, "about:blank"],
    ["secret", 500, "about:blank"],
  ])("%s is %i", (error, status, type) => {
    expect(problemOf(error).toProblem()).toMatchObject({ status, type, title: expect.stringMatching(/./) });
  });

  test("a schema's issues come along", () => {
    const issues = [{ path: ["a", "0"], message: "too short" }];
    expect(problemOf(new InvalidInputError("no", issues)).toProblem().errors).toEqual(issues);
  });

  test("what happened inside stays there, but for the log", () => {
    const cause = new UnavailableError("10.0.0.1:6379 refused");
    for (const error of [cause, new TypeError("10.0.0.1:6379")])
      expect(JSON.stringify(problemOf(error).toProblem())).not.toContain("6379");
    expect(problemOf(cause).cause).toBe(cause);
  });

  test("one that passes says when to come back", () => {
    expect(problemOf(new UnavailableError("away")).headers).toEqual({ "Retry-After": "1" });
    expect(problemOf(new OverloadedError("full", 4_500)).headers).toEqual({ "Retry-After": "5" });
  });
});
