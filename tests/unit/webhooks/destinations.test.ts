import { describe, expect, test } from "vitest";
import { Destinations } from "../../../workflows/webhooks/destinations.ts";

const strict = new Destinations();

describe("an address that is not public is refused", () => {
  test.each([
    ["127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3"],
    ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    ["169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1"],
    ["224.0.0.1", "240.0.0.1", "255.255.255.255"],
    ["::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1"],
    ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::127.0.0.1", "::7f00:1"],
    ["64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fe80::1%eth0"],
    ["", "localhost", "127.1", "2130706433", "0x7f.1"],
  ])("%s and the like", (...addresses) => {
    for (const address of addresses)
      expect([address, strict.mayReach("example.com", address)]).toEqual([address, false]);
  });

  test.each(["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])("but not %s", (address) => {
    expect(strict.mayReach("example.com", address)).toBe(true);
  });
});

test("what is allowed by name, by address or by range is reached, and nothing beside it", () => {
  const some = new Destinations({ allow: ["Hooks.internal", "10.1.0.0/16", "fd00::7", "127.0.0.1"] });
  const reached = (host: string, address: string) => some.mayReach(host, address);
  expect(reached("hooks.internal", "192.168.0.1")).toBe(true);
  expect(reached("HOOKS.internal", "::1")).toBe(true);
  expect(reached("other.internal", "192.168.0.1")).toBe(false);
  expect([reached("a", "10.1.2.3"), reached("a", "10.2.0.1"), reached("a", "::ffff:10.1.2.3")]).toEqual([
    true,
    false,
    true,
  ]);
  expect([reached("a", "fd00::7"), reached("a", "fd00::8")]).toEqual([true, false]);
  expect([reached("a", "127.0.0.1"), reached("a", "127.0.0.2")]).toEqual([true, false]);
  expect(reached("a", "8.8.8.8")).toBe(true);
});

test.each(["a b", "10.0.0.0/33", "*.example.com", "", "https://a"])("%j cannot be allowed", (entry) => {
  expect(() => new Destinations({ allow: [entry] })).toThrow("is no host name, no address and no CIDR range");
});

describe("a URL", () => {
  test.each([
    ["http://example.com/", "It must be https."],
    ["ftp://example.com/", "It must be https."],
    ["javascript:alert(1)", "It must be https."],
    ["example.com/hook", "Not a URL."],
    ["https://user:secret@example.com/", "A URL with a user or a password is not taken."],
    ["https://example.com/#part", "A URL with a fragment is not taken."],
    [`https://example.com/${"a".repeat(2_048)}`, "At most 2048 characters."],
    ["https://127.0.0.1/", "Its address is not a public one."],
    ["https://127.1/", "Its address is not a public one."],
    ["https://2130706433/", "Its address is not a public one."],
    ["https://0x7f000001/", "Its address is not a public one."],
    ["https://0177.0.0.1/", "Its address is not a public one."],
    ["https://[::1]/", "Its address is not a public one."],
    ["https://[::ffff:127.0.0.1]/", "Its address is not a public one."],
    ["https://169.254.169.254/latest/meta-data/", "Its address is not a public one."],
  ])("%s is refused", (url, why) => {
    expect(strict.refusal(url)).toBe(why);
  });

  test("is taken if it is public, or allowed; http only where that is said", () => {
    for (const url of ["https://example.com/hook?a=b", "https://8.8.8.8:8443/", "https://[2606:4700::1111]/"])
      expect(strict.refusal(url)).toBeUndefined();
    const open = new Destinations({ allow: ["127.0.0.0/8"], http: true });
    expect(open.refusal("http://127.0.0.1:8080/")).toBeUndefined();
    expect(open.refusal("http://10.0.0.1/")).toBe("Its address is not a public one.");
    expect(open.refusal("ftp://127.0.0.1/")).toBe("It must be https or http.");
  });
});
