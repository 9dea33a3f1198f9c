import type { Job } from "../api/types";
import { table } from "../i18n";

/** What to do about an error, by its code, where the API gives no hint (docs/api.md, "Error codes"). */
const text = table<Record<string, string>>(
  {
    invalid_task: "The message did not come from this API, or an older one. Fix its producer.",
    input_failed: "See whether each link of the message can be reached and is what its field takes. Then submit the job again.",
    rejected: "The model server refuses the request as it is. Correct what the message names, and submit it again.",
    execution_failed: "The model server accepted the request and failed on it. Try other parameters, or see the server's log.",
    no_output: "The workflow saved nothing. Let it end in a node that saves, such as SaveImage.",
    content_filtered: "The service's filter rejected the request or its picture. Ask for something else.",
    model_server_failed: "The server was out of memory or unreachable, five times. Ask for less, or retry later.",
    service_refused: "The managed service denied access. See the agent's log and the dead queue.",
    platform_failed: "A call to S3, SNS or SQS failed five times. Retry later.",
    internal_error: "The agent failed five times. Report it, with the agent's log.",
    undeliverable: "No agent could complete the task. Retry later, and see the dead queue.",
  },
  {
    invalid_task: "消息并非来自此 API。请修正其来源。",
    input_failed: "请检查消息中的每个链接能否访问、类型是否正确，然后重新提交。",
    rejected: "模型服务器拒绝了此请求。请修正消息所指的内容后重新提交。",
    execution_failed: "模型服务器接受了请求，但执行失败。请尝试其他参数，或查看服务器日志。",
    no_output: "工作流没有保存任何内容。请以保存节点（如 SaveImage）结尾。",
    content_filtered: "服务的过滤器拒绝了请求或图片。请更换内容。",
    model_server_failed: "服务器五次内存不足或无法访问。请降低要求，或稍后重试。",
    service_refused: "托管服务拒绝访问。请查看代理日志和死信队列。",
    platform_failed: "调用 S3、SNS 或 SQS 五次失败。请稍后重试。",
    internal_error: "代理五次失败。请附上代理日志报告此问题。",
    undeliverable: "没有代理能完成此任务。请稍后重试，并查看死信队列。",
  },
);

export function hintOf(error: NonNullable<Job["error"]>): string | undefined {
  return error.hint ?? text()[error.code];
}
