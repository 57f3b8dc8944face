import type { ComponentChildren, RefObject } from "preact";

interface Props {
  label: string;
  class?: string;
  place?: RefObject<HTMLElement | null>;
  isBusy?: boolean;
  onScroll?(place: HTMLElement): void;
  children: ComponentChildren;
}

/** A part of a page that may be larger than its place. */
export function Scroll({ label, class: name = "scroll", place, isBusy, onScroll, children }: Props) {
  return (
    <section
      class={name}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
      tabIndex={0}
      {...(place === undefined ? {} : { ref: place })}
      {...(isBusy === undefined ? {} : { "aria-busy": isBusy })}
      onScroll={(event) => onScroll?.(event.currentTarget)}
    >
      {children}
    </section>
  );
}
