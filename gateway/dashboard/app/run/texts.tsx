import { useLayoutEffect, useRef } from "preact/hooks";
import { Scroll } from "../ui/scroll.tsx";

/** What steps have emitted, as it comes. */
export function Texts({ texts, isOver }: { texts: Readonly<Record<string, string>>; isOver: boolean }) {
  const all = Object.entries(texts);
  if (all.length === 0) return null;
  return (
    <section class="card" aria-labelledby="texts">
      <h2 id="texts">{isOver ? "Emitted" : "As it comes"}</h2>
      {all.map(([step, text]) => (
        <Text key={step} step={step} text={text} isOver={isOver} />
      ))}
    </section>
  );
}

function Text({ step, text, isOver }: { step: string; text: string; isOver: boolean }) {
  const place = useRef<HTMLElement>(null);
  const isAtEnd = useRef(true);
  // Whoever has scrolled up is not pulled down again.
  useLayoutEffect(() => {
    if (isAtEnd.current) place.current!.scrollTop = place.current!.scrollHeight;
  }, [text]);
  return (
    <>
      <h3>{step}</h3>
      <Scroll
        class="stream"
        label={`What ${step} has emitted`}
        place={place}
        isBusy={!isOver}
        onScroll={({ scrollTop, clientHeight, scrollHeight }) => {
          isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20;
        }}
      >
        {text}
      </Scroll>
    </>
  );
}
