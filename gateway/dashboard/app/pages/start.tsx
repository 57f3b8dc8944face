import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Scope } from "../../../../engine/index.ts";
import { send, useAsked } from "../ask.ts";
import { Preview } from "../run/preview.tsx";
import { gateway, may } from "../session.ts";
import { UploadForm } from "../start/upload.tsx";
import { parsed } from "../ui/dialog.tsx";
import { Empty, Field, Head, JsonField } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

const WAYS = { document: "A document", prompt: "A prompt", workflow: "Any workflow" } as const;
type Way = keyof typeof WAYS;
const NEEDS: Record<Way, Scope> = { document: "documents:write", prompt: "runs:write", workflow: "runs:write" };

/** Something to work on, and what becomes of it. */
export function Start() {
  const ways = (Object.keys(WAYS) as Way[]).filter((each) => may(NEEDS[each]));
  const [way, setWay] = useState<Way | undefined>(ways[0]);
  const [run, setRun] = useState<string>();
  const choose = (next: Way) => {
    setWay(next);
    setRun(undefined);
  };
  return (
    <>
      <Head title="Start" lead="Hand something over, and watch what becomes of it." />
      {ways.length === 0 ? <Empty title="Your key may not start anything." /> : null}
      <fieldset class="choice">
        <legend>With</legend>
        {ways.map((each) => (
          <label key={each}>
            <input type="radio" name="way" checked={each === way} onChange={() => choose(each)} />
            {WAYS[each]}
          </label>
        ))}
      </fieldset>
      {way === "document" ? <UploadForm onStarted={setRun} /> : null}
      {way === "prompt" ? <PromptForm onStarted={setRun} /> : null}
      {way === "workflow" ? <WorkflowForm onStarted={setRun} /> : null}
      {run === undefined ? null : <Preview key={run} id={run} />}
    </>
  );
}

function PromptForm({ onStarted }: { onStarted(run: string | undefined): void }) {
  const [prompt, setPrompt] = useState("");
  const [model, setModel] = useState("");
  const [system, setSystem] = useState("");
  const [most, setMost] = useState("");
  const { data } = useAsked<{ data: { id: string }[] }>("/v1/models");
  const ask = async () => {
    onStarted(undefined);
    const more = { ...(model && { model }), ...(system && { system }), ...(most && { max_tokens: Number(most) }) };
    const { id } = await send<{ id: string }>("POST", "/v1/inference", { prompt, ...more });
    onStarted(id);
  };
  return (
    <StartForm verb="Ask" onDo={ask}>
      <Field label="Prompt" hint="The embedded model picks the sentences of the prompt that answer it best.">
        {(props) => (
          <textarea
            {...props}
            rows={6}
            required
            class="prose"
            placeholder="When was the bridge built? It was designed in 1889. The bridge was built in 1894."
            value={prompt}
            onInput={(event) => setPrompt(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="pairs">
        <Field label="Model">
          {(props) => (
            <select {...props} value={model} onChange={(event) => setModel(event.currentTarget.value)}>
              <option value="">as the workers are set up</option>
              {data?.data.map(({ id }) => (
                <option key={id}>{id}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Tokens at the most">
          {(props) => (
            <input
              {...props}
              type="number"
              min="1"
              max="128000"
              value={most}
              onInput={(event) => setMost(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <Field label="System message">
        {(props) => (
          <input {...props} type="text" value={system} onInput={(event) => setSystem(event.currentTarget.value)} />
        )}
      </Field>
    </StartForm>
  );
}

function WorkflowForm({ onStarted }: { onStarted(run: string | undefined): void }) {
  const { data, error } = useAsked<{ data: { name: string }[] }>("/v1/workflows");
  const [chosen, setChosen] = useState<string>();
  const [input, setInput] = useState("{}");
  const [tags, setTags] = useState("");
  const workflow = chosen ?? data?.data[0]?.name ?? "";
  const start = async () => {
    onStarted(undefined);
    const named = tags.split(/[\s,]+/).filter((tag) => tag !== "");
    const options = named.length === 0 ? {} : { tags: named };
    onStarted((await gateway.client.start(workflow, parsed(input), options)).id);
  };
  return (
    <StartForm verb="Start" onDo={start}>
      <Problem error={error} what="The workflows cannot be listed" />
      <div class="pairs">
        <Field label="Workflow">
          {(props) => (
            <select {...props} value={workflow} onChange={(event) => setChosen(event.currentTarget.value)}>
              {data?.data.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Tags" hint="With spaces or commas between.">
          {(props) => (
            <input {...props} type="text" value={tags} onInput={(event) => setTags(event.currentTarget.value)} />
          )}
        </Field>
      </div>
      <JsonField
        label="Input, as JSON"
        hint="The workflow checks it by its schema."
        rows={7}
        value={input}
        onChange={setInput}
      />
    </StartForm>
  );
}

/** A form whose errors are shown in it. */
function StartForm({ verb, onDo, children }: { verb: string; onDo(): Promise<void>; children: ComponentChildren }) {
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    await onDo().catch(setError);
    setBusy(false);
  };
  return (
    <form class="card" onSubmit={submit}>
      {children}
      <Problem error={error} />
      <div class="buttons">
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "One moment…" : verb}
        </button>
      </div>
    </form>
  );
}
