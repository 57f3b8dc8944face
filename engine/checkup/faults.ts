/** A fault of released servers, and by release line (`MAJOR.MINOR`) the first patch without it; undefined: no patch has come. */
interface Fault {
  of: "Redis" | "Valkey";
  what: string;
  fixed: Readonly<Record<string, number | undefined>>;
}

/** From the release notes and advisories of both projects: what a server that runs scripts and blocking reads can meet. */
const FAULTS: readonly Fault[] = [
  {
    of: "Redis",
    what: "a script can run code of its own in the server (CVE-2025-49844)",
    fixed: { "6.2": 20, "7.0": undefined, "7.2": 11, "7.4": 6, "8.0": 4, "8.2": 2 },
  },
  {
    of: "Valkey",
    what: "a script can run code of its own in the server (CVE-2025-49844)",
    fixed: { "7.2": 11, "8.0": 6, "8.1": 4 },
  },
  {
    of: "Redis",
    what: "a client that is evicted as its blocking read ends can corrupt memory (CVE-2026-23479)",
    fixed: { "7.4": 9, "8.4": 3, "8.6": 3 },
  },
  {
    of: "Redis",
    what: "WAITAOF can time out on a server that writes nothing else (redis/redis#12620)",
    fixed: { "7.2": 2 },
  },
];

/** What is known to be wrong with a release, in words. */
export function faultsOf(software: "Redis" | "Valkey", version: string): string[] {
  const [major, minor, patch = "0"] = version.split(".");
  const line = `${major}.${minor}`;
  const has = ({ of, fixed }: Fault) => {
    if (of !== software || !(line in fixed)) return false;
    const first = fixed[line];
    return first === undefined || Number.parseInt(patch, 10) < first;
  };
  return FAULTS.filter(has).map(({ what }) => what);
}
