import type { DeadLetterDetails } from "../../../../engine/index.ts";
import { send, useAsked } from "../ask.ts";
import { fullTime } from "../format.ts";
import { go, hrefOf } from "../router.ts";
import { Replay } from "../run/actions.tsx";
import { FailedWith } from "../run/error.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Head, Json, Loading, RunLink } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

/** One dead letter: what the step was given, and how each attempt failed. */
export function Letter({ id }: { id: string }) {
  const { data, error, again } = useAsked<DeadLetterDetails>(`/v1/dead-letters/${encodeURIComponent(id)}`);
  const back = <a href={hrefOf("dead-letters")}>All dead letters</a>;
  if (data === undefined)
    return (
      <>
        <Head title="Dead letter" lead={back} />
        {error === undefined ? (
          <Loading />
        ) : (
          <Problem error={error} what="The dead letter cannot be shown" again={again} />
        )}
      </>
    );
  const { run, workflow, version, step, item, undo, attempt, at, input, history } = data;
  return (
    <>
      <Head title={`${step}${item === undefined ? "" : ` item ${item}`}${undo ? " (undo)" : ""}`} lead={back}>
        <Replay letter={id} onReplayed={() => go(hrefOf("runs", run))} />
        <Confirm
          label="Discard"
          needs="dead-letters:write"
          title="Discard this dead letter?"
          verb="Discard"
          isDangerous
          onDo={async () => {
            await send("DELETE", `/v1/dead-letters/${encodeURIComponent(id)}`);
            go(hrefOf("dead-letters"));
          }}
        >
          <p>It is dropped for good, and its run stays failed.</p>
        </Confirm>
      </Head>
      <dl class="facts">
        <div>
          <dt>Workflow</dt>
          <dd>
            {workflow} v{version}
          </dd>
        </div>
        <div>
          <dt>Run</dt>
          <dd>
            <RunLink id={run} />
          </dd>
        </div>
        <div>
          <dt>Attempts</dt>
          <dd>{attempt}</dd>
        </div>
        <div>
          <dt>Since</dt>
          <dd>{fullTime(at)}</dd>
        </div>
      </dl>
      <FailedWith error={data.error} />
      <section class="card" aria-labelledby="given">
        <h2 id="given">What the step was given</h2>
        {input === undefined ? <p class="hint">It is no longer known.</p> : <Json label="Input" value={input} open />}
      </section>
      <section class="card" aria-labelledby="history">
        <h2 id="history">Failed attempts</h2>
        <ol class="history">
          {history.map(({ attempt: number, at: when, error: failure, retryAt }) => (
            <li key={`${number} ${when}`}>
              <p>
                <strong>Attempt {number}</strong> <span class="dim">{fullTime(when)}</span>
                {retryAt === undefined ? null : <span class="dim">, tried again at {fullTime(retryAt)}</span>}
              </p>
              <FailedWith error={failure} />
            </li>
          ))}
        </ol>
      </section>
    </>
  );
}
