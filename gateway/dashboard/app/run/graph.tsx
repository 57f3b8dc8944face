import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Run, Step } from "../../../client/types.ts";
import { Scroll } from "../ui/scroll.tsx";
import { markOf } from "../ui/status.tsx";
import { BOX, drawn, type GraphStep } from "./layout.ts";

interface Props {
  steps: readonly GraphStep[];
  run: Run;
  chosen: string | undefined;
  onChoose(step: string): void;
}

/** The steps of a run as its workflow joins them, each as it stands. A step is chosen to see more of it. */
export function RunGraph({ steps, run, chosen, onChoose }: Props) {
  const place = useRef<HTMLElement>(null);
  const [isTall, setTall] = useState(false);
  useEffect(() => {
    const look = new ResizeObserver(([entry]) => setTall((entry?.contentRect.width ?? 999) < 560));
    look.observe(place.current!);
    return () => look.disconnect();
  }, []);
  // A definition does not change while it is looked at.
  const key = JSON.stringify(steps);
  const picture = useMemo(() => drawn(steps, isTall), [key, isTall]);
  const statusOf = (name: string) => run.steps[name]?.status ?? "pending";
  const { width, height } = picture;
  return (
    <Scroll class="graph scroll" label="The graph of the steps" place={place}>
      {/* biome-ignore lint/a11y/useSemanticElements: of an SVG */}
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        height={height}
        role="group"
        aria-label="The graph of the run's steps"
      >
        {picture.lines.map(({ from, to, path }) => (
          <path key={`${from} ${to}`} d={path} class={`line is-${lineOf(statusOf(from), statusOf(to))}`} />
        ))}
        {picture.boxes.map(({ name, x, y }) => (
          <StepBox
            key={name}
            {...{ name, x, y, isChosen: name === chosen, onChoose }}
            kind={steps.find((each) => each.name === name)?.kind}
            step={run.steps[name] ?? { status: "pending", attempt: 0 }}
          />
        ))}
      </svg>
    </Scroll>
  );
}

function lineOf(from: string, to: string): string {
  if (to === "skipped" || to === "pending") return "pending";
  return from === "completed" && ["running", "retrying", "queued"].includes(to) ? "moving" : "passed";
}

interface BoxProps {
  name: string;
  kind: string | undefined;
  step: Step<unknown>;
  x: number;
  y: number;
  isChosen: boolean;
  onChoose(step: string): void;
}

function StepBox({ name, kind, step, x, y, isChosen, onChoose }: BoxProps) {
  const { status, progress = 0 } = step;
  const note = noteOf(step);
  const choose = () => onChoose(name);
  const byKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: of an SVG
    <g
      class={`box is-${status}`}
      transform={`translate(${x} ${y})`}
      role="button"
      tabIndex={0}
      aria-pressed={isChosen}
      aria-label={`${name}: ${status}${note === "" ? "" : `, ${note}`}`}
      onClick={choose}
      onKeyDown={byKey}
    >
      <rect class="ground" width={BOX.width} height={BOX.height} rx="9" />
      <text class="name" x="12" y="24">
        {cut(name, 19)}
      </text>
      <text class="state" x="12" y="44">
        {markOf(status)} {cut(`${status}${note === "" ? "" : ` · ${note}`}`, 24)}
      </text>
      {kind === undefined ? null : (
        <text class="kind" x={BOX.width - 10} y="44" text-anchor="end">
          {note === "" ? kind : ""}
        </text>
      )}
      {status === "running" && progress > 0 ? (
        <rect
          class="progress"
          x="1"
          y={BOX.height - 5}
          width={(BOX.width - 2) * Math.min(1, progress)}
          height="4"
          rx="2"
        />
      ) : null}
    </g>
  );
}

function noteOf({ status, attempt, progress, items, waitingFor }: Step<unknown>): string {
  if (items !== undefined)
    return `${items.done} of ${items.total}${items.failed > 0 ? `, ${items.failed} failed` : ""}`;
  if (waitingFor !== undefined) return waitingFor.reason.replace("_", " ");
  if (status === "running" && progress !== undefined) return `${Math.round(100 * progress)} %`;
  return attempt > 1 ? `attempt ${attempt}` : "";
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
