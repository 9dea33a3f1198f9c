import type { Job, JobState } from "../api/types";
import { table } from "../i18n";
import { Icon, type IconName } from "./icon";

const ICONS: Record<JobState, IconName> = {
  accepted: "clock",
  queued: "clock",
  running: "retry",
  succeeded: "check",
  failed: "cross",
  cancelled: "stop",
};

export const stateText = table<Record<JobState | "cancelling", string>>(
  { accepted: "Accepted", queued: "Queued", running: "Running", succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled", cancelling: "Cancelling" },
  { accepted: "已接收", queued: "排队中", running: "运行中", succeeded: "成功", failed: "失败", cancelled: "已取消", cancelling: "正在取消" },
);

/** A job's state as a word with its own colour and sign. */
export function StateBadge({ job }: { job: Pick<Job, "state" | "cancel_requested" | "ended_at"> }) {
  const isCancelling = job.cancel_requested && job.ended_at === null;
  return (
    <span class={`badge ${job.state}`}>
      <Icon name={ICONS[job.state]} size={12} />
      {stateText()[isCancelling ? "cancelling" : job.state]}
    </span>
  );
}
