import { expect, test } from "vitest";
import { MillraceError, UnavailableError } from "../../engine/errors.ts";
import { sumErrors } from "../../engine/index.ts";
import { classify } from "../../engine/redis/client.ts";
import { bounded } from "../../engine/redis/deadline.ts";
import { errorClass } from "../../engine/redis/error-class.ts";

const reply = (message: string) => Object.assign(new Error(message), { name: "ReplyError" });

test.each([
  ["UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", "UNBLOCKED"],
  ["MOVED 3999 127.0.0.1:6381", "MOVED"],
  ["NOGROUP No such key 'a' or consumer group 'b'", "NOGROUP"],
  ["READONLY You can't write against a read only replica.", "READONLY"],
  ["BUSYGROUP Consumer Group name already exists", "other"],
  ["ERR of another kind: MOVED", "other"],
])("the reply %j is counted as %s", (message, name) => {
  expect(errorClass(classify("XREADGROUP", reply(message)))).toBe(name);
});

test("what is no reply is counted by where it came from", async () => {
  const late = await bounded(new Promise(() => {}), 1).catch((error) => error);
  expect(errorClass(late)).toBe("timeout");
  expect(errorClass(classify("XREADGROUP", new Error("Command timed out")))).toBe("timeout");
  expect(errorClass(classify("XREADGROUP", new Error("Connection is closed.")))).toBe("socket");
  expect(errorClass(new UnavailableError("down", { cause: new Error("ECONNRESET") }))).toBe("socket");
  expect(errorClass(new MillraceError("wrong_type", "a key"))).toBe("other");
  expect(errorClass(new TypeError("a mistake of ours"))).toBe("other");
  expect(errorClass("thrown")).toBe("other");
});

test("what several readers have counted is summed by class", () => {
  const counted: Record<string, number>[] = [{ MOVED: 1, socket: 2 }, {}, { socket: 3 }];
  expect(sumErrors(counted.map((readerErrors) => ({ readerErrors })))).toEqual({ MOVED: 1, socket: 5 });
});
