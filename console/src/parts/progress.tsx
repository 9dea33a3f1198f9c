/** A bar of progress; `fraction` null shows that something goes on without saying how far it is. */
export function ProgressBar({ fraction, label }: { fraction: number | null | undefined; label: string }) {
  const percent = fraction == null ? undefined : Math.round(Math.min(1, Math.max(0, fraction)) * 100);
  return (
    <div class={percent === undefined ? "progress unknown" : "progress"} role="progressbar" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
      <div style={{ transform: `scaleX(${percent === undefined ? 1 : percent / 100})` }} />
    </div>
  );
}
