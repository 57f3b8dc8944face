import { expect, test } from "vitest";
import { redacted } from "../../gateway/redaction.ts";

const KEY = `mr_${"0".repeat(32)}_${"a".repeat(52)}`;
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";

test.each([
  [`key ${KEY} is gone`, "key mr_[redacted] is gone"],
  [`/v1/runs/${KEY.replaceAll("_", "%5F")}?a=1`, "/v1/runs/mr_[redacted]?a=1"],
  [`{"ticket":"mrt_${"b".repeat(52)}"}`, '{"ticket":"mrt_[redacted]"}'],
  ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_[redacted]"],
  [`a ${JWT} b`, "a [redacted] b"],
  ['{"authorization":"Bearer abc.def"}', '{"authorization":"Bearer [redacted]"}'],
  ["Authorization: Basic YTpi", "Authorization: Basic [redacted]"],
  ["authorization: abc", "authorization: [redacted]"],
  ["/v1/live?ticket=abc&after=1", "/v1/live?ticket=[redacted]&after=1"],
  ["rediss://user:secret@redis.example:6380/2", "rediss://user:[redacted]@redis.example:6380/2"],
])("%s", (line, left) => {
  expect(redacted(line)).toBe(left);
  expect(redacted(left)).toBe(left);
});

test("leaves all else as it is", () => {
  for (const line of ["run 01a21f0d556b73aeb458c9bffca68be4-0", "http://localhost:8787/v1/runs", "in 1.5 ms at 12:30"])
    expect(redacted(line)).toBe(line);
});
