import { useEffect, useState } from "preact/hooks";
import { go, hrefOf } from "../router.ts";
import { gateway } from "../session.ts";
import { Connection } from "../ui/connection.tsx";
import { Json } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";
import { useSteps } from "./definition.ts";
import { FailedWith } from "./error.tsx";
import { followRun, NOTHING } from "./follow.ts";
import { RunGraph } from "./graph.tsx";
import { Texts } from "./texts.tsx";

/** A run that was started here, as it happens. */
export function Preview({ id }: { id: string }) {
  const [{ run, texts, isLive, hasEnded, error }, setState] = useState(NOTHING);
  useEffect(() => followRun(gateway.client.run(id), setState), [id]);
  const steps = useSteps(run);
  const text = (run?.output as { text?: unknown } | undefined)?.text;
  return (
    <section class="card" aria-labelledby="started">
      <div class="head">
        <h2 id="started">
          {run?.workflow ?? "The run"} {run === undefined ? null : <Status of={run.status} />}
        </h2>
        <div class="actions">
          {hasEnded ? null : <Connection isLive={isLive} />}
          <a class="button" href={hrefOf("runs", id)}>
            Open the run
          </a>
        </div>
      </div>
      <Problem error={error} what="The run cannot be watched" />
      {run === undefined ? null : (
        <RunGraph steps={steps} run={run} chosen={undefined} onChoose={() => go(hrefOf("runs", id))} />
      )}
      {run?.error === undefined ? null : <FailedWith error={run.error} />}
      <Texts texts={texts} isOver={hasEnded} />
      {typeof text === "string" && Object.keys(texts).length === 0 ? <p class="stream">{text}</p> : null}
      <Json label="Output" value={run?.output} />
    </section>
  );
}
