import { useEffect, useState } from "preact/hooks";
import type { Run as RunState } from "../../../client/types.ts";
import { duration, fullTime } from "../format.ts";
import { hrefOf } from "../router.ts";
import { RunActions } from "../run/actions.tsx";
import { useSteps } from "../run/definition.ts";
import { FailedWith } from "../run/error.tsx";
import { followRun, NOTHING } from "../run/follow.ts";
import { RunGraph } from "../run/graph.tsx";
import { EventLog } from "../run/log.tsx";
import { Signals } from "../run/signals.tsx";
import { StepDetails } from "../run/step.tsx";
import { Texts } from "../run/texts.tsx";
import { Timeline } from "../run/timeline.tsx";
import { gateway } from "../session.ts";
import { Connection } from "../ui/connection.tsx";
import { Head, Json, Loading, RunLink, useNow } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";

/** One run, as it happens. */
export function Run({ id }: { id: string }) {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState(NOTHING);
  const [chosen, setChosen] = useState<string>();
  useEffect(() => {
    try {
      return followRun(gateway.client.run(id), setState);
    } catch (error) {
      setState({ ...NOTHING, error });
      return undefined;
    }
  }, [id, turn]);
  const { run, events, texts, isLive, hasEnded, error } = state;
  const steps = useSteps(run);
  const now = useNow(run?.endedAt === undefined ? 500 : 60_000);
  const again = () => setTurn(turn + 1);

  if (run === undefined)
    return (
      <>
        <Head title="Run" lead={<span class="mono">{id}</span>} />
        {error === undefined ? <Loading /> : <Problem error={error} what="The run cannot be shown" again={again} />}
      </>
    );
  return (
    <>
      <Head title={run.workflow} lead={<span class="mono">{id}</span>}>
        {hasEnded ? null : <Connection isLive={isLive} />}
        <RunActions run={run} events={events} onReplayed={again} />
      </Head>
      <Facts run={run} now={now} />
      <Problem error={error} what="This is no longer kept up to date" again={again} />
      <Signals run={run} />
      {run.error === undefined ? null : <FailedWith error={run.error} />}
      <section class="card" aria-labelledby="graph">
        <h2 id="graph">Steps</h2>
        <RunGraph
          steps={steps}
          run={run}
          chosen={chosen}
          onChoose={(step) => setChosen(step === chosen ? undefined : step)}
        />
        {chosen === undefined || run.steps[chosen] === undefined ? (
          <p class="hint">Choose a step to see what it was given and what it came to.</p>
        ) : (
          <StepDetails key={chosen} run={run} name={chosen} now={now} />
        )}
      </section>
      <Texts texts={texts} isOver={hasEnded} />
      <section class="card" aria-labelledby="timeline">
        <h2 id="timeline">Timeline</h2>
        <Timeline events={events} run={run} steps={steps} now={now} />
      </section>
      <section class="card" aria-labelledby="values">
        <h2 id="values">Input and output</h2>
        <Json label="Input" value={run.input} />
        {run.output === undefined ? (
          <p class="hint">{hasEnded ? "There is no output." : "There is no output yet."}</p>
        ) : (
          <Json label="Output" value={run.output} open />
        )}
        <Json label="Metadata" value={run.metadata} />
      </section>
      <section class="card" aria-labelledby="events">
        <h2 id="events">Events</h2>
        <EventLog events={events} />
      </section>
    </>
  );
}

function Facts({ run, now }: { run: RunState; now: number }) {
  const { status, undoing, version, createdAt, startsAt, endedAt, priority, tags = [], usage, metadata } = run;
  const { schedule, rerunOf } = (metadata ?? {}) as { schedule?: unknown; rerunOf?: unknown };
  return (
    <dl class="facts">
      <Fact name="Status">
        <Status of={status} note={undoing === undefined ? undefined : `undoing, then ${undoing}`} />
      </Fact>
      <Fact name="Version">{version}</Fact>
      <Fact name="Created">{fullTime(createdAt)}</Fact>
      {startsAt === undefined ? null : <Fact name="Starts">{fullTime(startsAt)}</Fact>}
      <Fact name={endedAt === undefined ? "For" : "Took"}>
        {duration((endedAt === undefined ? now : Date.parse(endedAt)) - Date.parse(createdAt))}
      </Fact>
      {priority === undefined ? null : <Fact name="Priority">{priority}</Fact>}
      {usage === undefined ? null : (
        <Fact name="Used">
          {usage.tokens.toLocaleString()} tokens{usage.cost > 0 ? `, cost ${usage.cost}` : ""}
        </Fact>
      )}
      {typeof schedule === "string" ? <Fact name="Schedule">{schedule}</Fact> : null}
      {typeof rerunOf === "string" ? (
        <Fact name="Rerun of">
          <RunLink id={rerunOf} />
        </Fact>
      ) : null}
      {tags.length === 0 ? null : (
        <Fact name="Tags">
          {tags.map((tag) => (
            <a key={tag} class="tag" href={hrefOf("runs", undefined, { tag })}>
              {tag}
            </a>
          ))}
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
