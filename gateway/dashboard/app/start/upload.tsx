import { useEffect, useRef, useState } from "preact/hooks";
import type { Uploaded } from "../../../client/types.ts";
import { useAsked } from "../ask.ts";
import { bytes } from "../format.ts";
import { gateway } from "../session.ts";
import { Field } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

const USUAL = "document-analysis";
const NONE = "";

/** A document that is uploaded in parts, and a run that is started with it. */
export function UploadForm({ onStarted }: { onStarted(run: string | undefined): void }) {
  const { data, error: unlisted } = useAsked<{ data: { name: string }[] }>("/v1/workflows");
  const names = data?.data.map(({ name }) => name) ?? [];
  const [chosen, setChosen] = useState<string>();
  const [file, setFile] = useState<File>();
  const [sent, setSent] = useState<number>();
  const [done, setDone] = useState<Uploaded>();
  const [error, setError] = useState<unknown>();
  const under = useRef<AbortController | undefined>(undefined);
  const workflow = chosen ?? (names.includes(USUAL) ? USUAL : NONE);
  /** Before, it is not known what is to be started. */
  const isKnown = data !== undefined || unlisted !== undefined;
  useEffect(() => () => under.current?.abort(), []);

  async function upload(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (file === undefined) return;
    under.current = new AbortController();
    const { signal } = under.current;
    onStarted(undefined);
    setError(undefined);
    setDone(undefined);
    setSent(0);
    try {
      const to = workflow === NONE ? {} : { workflow };
      const uploaded = await gateway.client.upload(file, { ...to, signal, onProgress: setSent });
      setDone(uploaded);
      onStarted(uploaded.run);
    } catch (thrown) {
      if (!signal.aborted) setError(thrown);
    }
    setSent(undefined);
  }

  return (
    <form class="card" onSubmit={upload}>
      <Field label="Document" hint="PDF, plain text and Markdown can be analysed. It goes on after a lost connection.">
        {(props) => (
          <input {...props} type="file" required onChange={(event) => setFile(event.currentTarget.files?.[0])} />
        )}
      </Field>
      <Field label="Workflow">
        {(props) => (
          <select {...props} value={workflow} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value={NONE}>none: it is only stored</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Problem error={error} what="The document was not taken" />
      {sent === undefined || file === undefined ? null : (
        <p>
          <progress aria-label="How much is uploaded" value={sent} max={Math.max(1, file.size)} /> {bytes(sent)} of{" "}
          {bytes(file.size)}
        </p>
      )}
      {done === undefined ? null : (
        <p role="status">
          Stored as <code>{done.document}</code>.
        </p>
      )}
      <div class="buttons">
        <button type="submit" class="primary" disabled={sent !== undefined || !isKnown}>
          {sent === undefined ? "Upload" : "Uploading…"}
        </button>
        {sent === undefined ? null : (
          <button type="button" onClick={() => under.current?.abort()}>
            Stop
          </button>
        )}
      </div>
    </form>
  );
}
