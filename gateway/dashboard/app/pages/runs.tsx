import { useEffect, useRef, useState } from "preact/hooks";
import type { RunSummary } from "../../../../engine/index.ts";
import { statusOf } from "../../../client/fold.ts";
import { useAsked } from "../ask.ts";
import { follow, type LiveEvent } from "../live.ts";
import { hrefOf, replace, route } from "../router.ts";
import { may } from "../session.ts";
import { Connection } from "../ui/connection.tsx";
import { Pager, pathOf, usePages } from "../ui/pager.tsx";
import { Empty, Head, Loading, RunLink, Table, Time, Took, useNow } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";

const PAGE = "50";
const STATUSES = ["queued", "running", "waiting", "completed", "failed", "cancelled"];
/** However much happens, the list is read again no more often. */
const AGAIN_MS = 1_000;

/** All runs, the newest first, a page of them at a time. */
export function Runs() {
  const { query } = route.value;
  const filter = {
    workflow: query.get("workflow") ?? "",
    status: query.get("status") ?? "",
    tag: query.get("tag") ?? "",
  };
  const given = Object.entries(filter).filter(([, value]) => value !== "");
  const pages = usePages();
  const path = pathOf("/v1/runs", { ...filter, limit: PAGE }, pages);
  const { data: page, error, isStale, again } = useAsked<{ data: RunSummary[]; next?: string }>(path);
  const { live, changes } = useLive(filter.workflow, pages.number === 1, again, page?.data);
  const now = useNow();

  const filterBy = (change: Partial<typeof filter>) => {
    pages.first();
    replace(hrefOf("runs", undefined, { ...filter, ...change }));
  };
  return (
    <>
      <Head title="Runs" lead="What was started, the newest first.">
        <Connection {...live} />
        <StartLink />
      </Head>
      <Filters filter={filter} onChange={filterBy} />
      <Problem error={error} what="The runs cannot be shown" again={again} />
      {page === undefined ? (
        error === undefined ? (
          <Loading />
        ) : null
      ) : page.data.length === 0 ? (
        <Nothing isFiltered={given.length > 0} clear={() => filterBy({ workflow: "", status: "", tag: "" })} />
      ) : (
        <Table label="Runs" columns={["Run", "Status", "Workflow", "Started", "Took", "Tags"]}>
          {page.data.map((run) => (
            <Row key={run.id} run={{ ...run, ...changes.get(run.id) }} now={now} />
          ))}
        </Table>
      )}
      <Pager of="runs" pages={pages} next={page?.next} isBusy={isStale} />
    </>
  );
}

function Row({ run, now }: { run: RunSummary; now: number }) {
  const { id, workflow, version, status, undoing, tags = [], createdAt, endedAt } = run;
  return (
    <tr>
      <th scope="row">
        <RunLink id={id} />
      </th>
      <td>
        <Status of={status} note={undoing === undefined ? undefined : "undoing"} />
      </td>
      <td>
        {workflow} <span class="dim">v{version}</span>
      </td>
      <td>
        <Time at={createdAt} now={now} />
      </td>
      <td class="number">
        <Took from={createdAt} to={endedAt} now={now} />
      </td>
      <td>
        {tags.map((tag) => (
          <a key={tag} class="tag" href={hrefOf("runs", undefined, { tag })}>
            {tag}
          </a>
        ))}
      </td>
    </tr>
  );
}

/** What happens to the runs of a page, told at once; and new ones, by reading it again, if it is the first. */
function useLive(workflow: string, isFirst: boolean, again: () => void, rows: readonly RunSummary[] | undefined) {
  const [live, setLive] = useState<{ isLive: boolean; error?: unknown }>({ isLive: false });
  const [changes, setChanges] = useState<ReadonlyMap<string, Partial<RunSummary>>>(new Map());
  const current = useRef({ isFirst, again, rows });
  current.current = { isFirst, again, rows };

  useEffect(() => setChanges(new Map()), [rows]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const readAgain = (ms: number) => {
      timer ??= setTimeout(() => {
        timer = undefined;
        current.current.again();
      }, ms);
    };
    const end = follow(workflow === "" ? undefined : workflow, {
      event(event) {
        const change = changeBy(event);
        if (change === undefined) return;
        if (current.current.rows?.some(({ id }) => id === event.run))
          setChanges((before) => new Map(before).set(event.run, { ...before.get(event.run), ...change }));
        if (current.current.isFirst) readAgain(AGAIN_MS);
      },
      connection(isLive, error) {
        setLive({ isLive, error });
        if (isLive) readAgain(0);
      },
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [workflow]);
  return { live, changes };
}

function changeBy(event: LiveEvent): Partial<RunSummary> | undefined {
  if (!event.type.startsWith("run.")) return undefined;
  const status = statusOf(event);
  return { status, ...(["completed", "failed", "cancelled"].includes(status) && { endedAt: event.at }) };
}

function Filters({
  filter,
  onChange,
}: {
  filter: Record<"workflow" | "status" | "tag", string>;
  onChange(change: object): void;
}) {
  const { data } = useAsked<{ data: { name: string }[] }>("/v1/workflows");
  const names = [...new Set([...(data?.data.map(({ name }) => name) ?? []), filter.workflow])].filter(
    (name) => name !== "",
  );
  return (
    <form class="filters" aria-label="Filter the runs" onSubmit={(event) => event.preventDefault()}>
      <label>
        Workflow
        <select value={filter.workflow} onChange={(event) => onChange({ workflow: event.currentTarget.value })}>
          <option value="">all</option>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        Status
        <select value={filter.status} onChange={(event) => onChange({ status: event.currentTarget.value })}>
          <option value="">all</option>
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </select>
      </label>
      <label>
        Tag
        <input
          type="search"
          placeholder="any"
          value={filter.tag}
          onChange={(event) => onChange({ tag: event.currentTarget.value.trim() })}
        />
      </label>
    </form>
  );
}

function Nothing({ isFiltered, clear }: { isFiltered: boolean; clear(): void }) {
  if (isFiltered)
    return (
      <Empty title="No run fits this filter.">
        <button type="button" onClick={clear}>
          Show all runs
        </button>
      </Empty>
    );
  return (
    <Empty title="There are no runs yet.">
      <p>Upload a document, ask a model something, or start any workflow.</p>
      <StartLink />
    </Empty>
  );
}

function StartLink() {
  if (!may("runs:write")) return null;
  return (
    <a class="button primary" href={hrefOf("start")}>
      Start a run
    </a>
  );
}
