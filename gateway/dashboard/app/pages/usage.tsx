export function UsagePage() {
  return <p>Soon.</p>;
}
