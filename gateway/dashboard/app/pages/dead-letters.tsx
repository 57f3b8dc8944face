export function DeadLetters() {
  return <p>Soon.</p>;
}
