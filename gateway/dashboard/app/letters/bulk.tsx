import { useEffect, useState } from "preact/hooks";
import type { OperationView } from "../../../../engine/index.ts";
import { get, send } from "../ask.ts";
import { whole } from "../format.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Problem } from "../ui/problem.tsx";

const AGAIN_MS = 700;

/** Has all that fit a filter replayed or dropped. */
export function Bulk({ filter, onStarted }: { filter: Record<string, string>; onStarted(operation: string): void }) {
  const wanted = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
  const names = Object.entries(wanted).map(([name, value]) => `${name === "errorCode" ? "error code" : name} ${value}`);
  const which = names.length === 0 ? "All dead letters of the tenant" : `All dead letters with ${names.join(" and ")}`;
  const act = async (verb: string) => {
    const { id } = await send<{ id: string }>("POST", `/v1/dead-letters/${verb}`, wanted);
    onStarted(id);
  };
  const these = names.length === 0 ? "all" : "these";
  return (
    <>
      <Confirm
        needs="dead-letters:write"
        label={`Replay ${these}`}
        title={`Replay ${these}?`}
        verb="Replay"
        onDo={() => act("replay")}
      >
        <p>{which} are let go on from the step that failed, also those that this page does not show.</p>
      </Confirm>
      <Confirm
        needs="dead-letters:write"
        label={`Discard ${these}`}
        title={`Discard ${these}?`}
        verb="Discard"
        isDangerous
        onDo={() => act("discard")}
      >
        <p>{which} are dropped for good, also those that this page does not show. Their runs stay failed.</p>
      </Confirm>
    </>
  );
}

/** How far such work is. */
export function Operation({ id, onDone }: { id: string; onDone(): void }) {
  const [view, setView] = useState<OperationView>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const now = await get<OperationView>(`/v1/dead-letters/operations/${id}`, abort.signal);
        setView(now);
        if (now.status === "done") return onDone();
        timer = setTimeout(look, AGAIN_MS);
      } catch (thrown) {
        if (!abort.signal.aborted) setError(thrown);
      }
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id]);
  if (error !== undefined) return <Problem error={error} what="How far it is cannot be shown" />;
  if (view === undefined) return null;
  const { kind, status, matched, done } = view;
  return (
    <div class="notice" role="status">
      <p>
        {kind === "replay" ? "Replayed" : "Discarded"} {whole(done)} of {whole(matched)}
        {status === "done" ? "." : "…"}
      </p>
      {status === "done" ? null : <progress aria-label="How far it is" value={done} max={Math.max(1, matched)} />}
    </div>
  );
}
