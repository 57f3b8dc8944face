import { useState } from "preact/hooks";
import type { DeadLetterView } from "../../../../engine/index.ts";
import { useAsked } from "../ask.ts";
import { Bulk, Operation } from "../letters/bulk.tsx";
import { Letter } from "../letters/letter.tsx";
import { hrefOf, replace, route } from "../router.ts";
import { Pager, pathOf, usePages } from "../ui/pager.tsx";
import { Empty, Head, Loading, RunLink, Table, Time, useNow } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

const PAGE = "50";
const AGAIN_MS = 5_000;

/** What failed for good: to be seen, let go on, or dropped. */
export function DeadLetters() {
  const { id } = route.value;
  return id === undefined ? <List /> : <Letter key={id} id={id} />;
}

function List() {
  const { query } = route.value;
  const filter = {
    workflow: query.get("workflow") ?? "",
    step: query.get("step") ?? "",
    errorCode: query.get("errorCode") ?? "",
  };
  const isFiltered = Object.values(filter).some((value) => value !== "");
  const pages = usePages();
  const path = pathOf("/v1/dead-letters", { ...filter, limit: PAGE }, pages);
  const { data: page, error, isStale, again } = useAsked<{ data: DeadLetterView[]; next?: string }>(path, AGAIN_MS);
  const [operation, setOperation] = useState<string>();
  const now = useNow(5_000);
  const filterBy = (change: Partial<typeof filter>) => {
    pages.first();
    replace(hrefOf("dead-letters", undefined, { ...filter, ...change }));
  };
  const isEmpty = page === undefined || page.data.length === 0;
  return (
    <>
      <Head
        title="Dead letters"
        lead="Steps that failed for good. Mend what was wrong, then let their runs go on from there."
      >
        {isEmpty ? null : <Bulk filter={filter} onStarted={setOperation} />}
      </Head>
      {operation === undefined ? null : <Operation id={operation} onDone={again} />}
      <form class="filters" aria-label="Filter the dead letters" onSubmit={(event) => event.preventDefault()}>
        {(["workflow", "step", "errorCode"] as const).map((name) => (
          <label key={name}>
            {name === "errorCode" ? "Error code" : name === "step" ? "Step" : "Workflow"}
            <input
              type="search"
              placeholder="any"
              value={filter[name]}
              onChange={(event) => filterBy({ [name]: event.currentTarget.value.trim() })}
            />
          </label>
        ))}
      </form>
      <Problem error={error} what="The dead letters cannot be shown" again={again} />
      {page === undefined && error === undefined ? <Loading /> : null}
      {page !== undefined && isEmpty ? (
        <Empty title={isFiltered ? "No dead letter fits this filter." : "There are no dead letters."}>
          {isFiltered ? (
            <button type="button" onClick={() => filterBy({ workflow: "", step: "", errorCode: "" })}>
              Show all
            </button>
          ) : (
            <p>A step that fails with its last attempt will be here.</p>
          )}
        </Empty>
      ) : null}
      {page === undefined || isEmpty ? null : (
        <Table label="Dead letters" columns={["Step", "Error", "Attempts", "When", "Run"]}>
          {page.data.map(({ id, run, workflow, version, step, item, undo, attempt, error: failure, at }) => (
            <tr key={id}>
              <th scope="row">
                <a href={hrefOf("dead-letters", id)}>
                  {step}
                  {item === undefined ? "" : ` item ${item}`}
                  {undo ? " (undo)" : ""}
                </a>
                <br />
                <span class="dim">
                  {workflow} v{version}
                </span>
              </th>
              <td class="long">
                {failure.code === undefined ? null : <code>{failure.code}</code>} {failure.message.slice(0, 300)}
              </td>
              <td class="number">{attempt}</td>
              <td>
                <Time at={at} now={now} />
              </td>
              <td>
                <RunLink id={run} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Pager of="dead letters" pages={pages} next={page?.next} isBusy={isStale} />
    </>
  );
}
