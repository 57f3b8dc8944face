import { useState } from "preact/hooks";
import type { ConfigEntry } from "../../../../engine/index.ts";
import { send, useAsked } from "../ask.ts";
import { pretty } from "../format.ts";
import { may } from "../session.ts";
import { Confirm, Dialog, parsed } from "../ui/dialog.tsx";
import { Pager, pathOf, usePages } from "../ui/pager.tsx";
import { Empty, Field, Head, Loading, Table, Time, useNow } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

const PAGE = "50";
const AGAIN_MS = 10_000;

/** What every process is told. */
export function Configuration() {
  const [prefix, setPrefix] = useState("");
  const pages = usePages();
  const path = pathOf("/v1/config", { prefix, limit: PAGE }, pages);
  const { data: page, error, isStale, again } = useAsked<{ data: ConfigEntry[]; next?: string }>(path, AGAIN_MS);
  const [edited, setEdited] = useState<Partial<ConfigEntry>>();
  const now = useNow(5_000);
  return (
    <>
      <Head
        title="Configuration"
        lead="What every process is told at once, the same for all tenants. Handlers and flags read it."
      >
        {may("config:write") ? (
          <button type="button" class="primary" onClick={() => setEdited({})}>
            New entry
          </button>
        ) : null}
      </Head>
      {edited === undefined ? null : <EntryForm entry={edited} onClose={() => setEdited(undefined)} onSet={again} />}
      <form class="filters" aria-label="Filter the configuration" onSubmit={(event) => event.preventDefault()}>
        <label>
          Keys that begin with
          <input
            type="search"
            placeholder="anything"
            value={prefix}
            onInput={(event) => {
              pages.first();
              setPrefix(event.currentTarget.value.trim());
            }}
          />
        </label>
      </form>
      <Problem error={error} what="The configuration cannot be shown" again={again} />
      {page === undefined && error === undefined ? <Loading /> : null}
      {page?.data.length === 0 ? (
        <Empty title={prefix === "" ? "Nothing is configured." : "No key begins so."}>
          {prefix === "" ? (
            <p>
              Handlers read an entry with <code>ctx.config.get("key")</code>, and a flag with{" "}
              <code>ctx.config.flag("key")</code>.
            </p>
          ) : null}
        </Empty>
      ) : null}
      {page === undefined || page.data.length === 0 ? null : (
        <Table label="Configuration" columns={["Key", "Value", "Revision", "Set", "Do"]}>
          {page.data.map((entry) => (
            <tr key={entry.key}>
              <th scope="row" class="mono">
                {entry.key}
              </th>
              <td class="long">
                <code>{JSON.stringify(entry.value).slice(0, 300)}</code>
              </td>
              <td class="number">{entry.revision}</td>
              <td>
                <Time at={entry.updatedAt} now={now} />
              </td>
              <td>
                <span class="actions tight">
                  {may("config:write") ? (
                    <button type="button" class="small" onClick={() => setEdited(entry)}>
                      Change
                    </button>
                  ) : null}
                  <Confirm
                    needs="config:write"
                    small
                    label="Delete"
                    title={`Delete ${entry.key}?`}
                    verb="Delete"
                    isDangerous
                    onDo={async () => {
                      await send("DELETE", `/v1/config/${encodeURIComponent(entry.key)}`);
                      again();
                    }}
                  >
                    <p>Every process is told at once.</p>
                  </Confirm>
                </span>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <Pager of="the configuration" pages={pages} next={page?.next} isBusy={isStale} />
    </>
  );
}

/** Sets an entry only if it still is as it was when it was shown. */
function EntryForm({ entry, onClose, onSet }: { entry: Partial<ConfigEntry>; onClose(): void; onSet(): void }) {
  const [key, setKey] = useState(entry.key ?? "");
  const [text, setText] = useState(
    entry.key === undefined ? "" : typeof entry.value === "string" ? JSON.stringify(entry.value) : pretty(entry.value),
  );
  const set = async () => {
    const only: Record<string, string> =
      entry.revision === undefined ? { "If-None-Match": "*" } : { "If-Match": `"${entry.revision}"` };
    await send("PUT", `/v1/config/${encodeURIComponent(key)}`, { value: parsed(text) }, only);
    onSet();
  };
  return (
    <Dialog
      title={entry.key === undefined ? "New entry" : `Change ${entry.key}`}
      verb="Save"
      onDo={set}
      onClose={onClose}
    >
      {entry.key !== undefined ? null : (
        <Field label="Key">
          {(props) => (
            <input {...props} type="text" required value={key} onInput={(event) => setKey(event.currentTarget.value)} />
          )}
        </Field>
      )}
      <Field label="Value, as JSON" hint='A flag is true, false or {"percent": 10}.'>
        {(props) => (
          <textarea
            {...props}
            rows={7}
            required
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
    </Dialog>
  );
}
