import { checkup, type Finding, UnavailableError } from "../engine/index.ts";
import { openBlobs } from "../engine/open-blobs.ts";
import { EXIT } from "./errors.ts";
import { clean, type Printer, type Style } from "./printer.ts";
import { requireRedis, type Settings } from "./settings.ts";

const STYLES: Record<Finding["status"], Style> = { ok: "good", warn: "busy", fail: "bad" };

/** `millrace doctor`: what this Redis and this blob store can promise, and what to set. @throws UsageError, MillraceError */
export async function runDoctor(settings: Settings, out: Printer): Promise<void> {
  const url = requireRedis(settings);
  const { namespace, durability } = settings;
  const blobs = () => openBlobs(settings.blobs, { env: process.env, redis: { url, namespace } });
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    findings.push(finding);
    if (!out.json) for (const line of linesOf(finding, out)) out.print(line);
  };
  try {
    for await (const finding of checkup({ url, namespace, durability, blobs })) add(finding);
    if (findings.some(({ status }) => status === "fail")) process.exitCode = EXIT.failed;
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const advice = "Start Redis, or set REDIS_URL to where it is.";
    add({ check: "connection", status: "fail", found: error.message, advice });
    process.exitCode = EXIT.unreachable;
  }
  if (out.json) out.document({ ok: findings.every(({ status }) => status !== "fail"), findings });
}

function linesOf({ check, status, found, advice }: Finding, out: Printer): string[] {
  const painted = out.paint(status, STYLES[status]);
  if (!out.isTerminal) return [[painted, check, clean(found), clean(advice)].join("\t").trimEnd()];
  const line = `${painted}${" ".repeat(6 - status.length)}${check.padEnd(12)}  ${clean(found)}`;
  return advice === undefined ? [line] : [line, `${" ".repeat(20)}${out.paint(clean(advice), "strong")}`];
}
