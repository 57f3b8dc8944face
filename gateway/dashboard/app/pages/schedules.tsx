export function Schedules() {
  return <p>Soon.</p>;
}
