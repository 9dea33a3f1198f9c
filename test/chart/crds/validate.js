// Reads custom resources as a JSON list from standard input; writes for each the list of its faults.
import { EC2NodeClass } from "@kubernetes-models/karpenter/karpenter.k8s.aws/v1";
import { NodePool } from "@kubernetes-models/karpenter/karpenter.sh/v1";
import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { readFileSync } from "node:fs";

const KINDS = { EC2NodeClass, NodePool, ScaledObject, TriggerAuthentication };
const WRONG = ["wrong", 1.5, true, [], {}, ["wrong"]];

function fault(resource) {
  try {
    new KINDS[resource.kind](resource).validate();
    return undefined;
  } catch (error) {
    return error.message;
  }
}

// The schemas are open. A field that takes whatever it is given is one that they do not know.
function* unknownFields(resource, part, path) {
  for (const key of Object.keys(part)) {
    const here = `${path}.${key}`;
    const right = part[key];
    const isKnown = WRONG.some((wrong) => {
      part[key] = wrong;
      return fault(resource) !== undefined;
    });
    part[key] = right;
    if (!isKnown) yield `${here} is not known`;
    else if (typeof right === "object" && right !== null) yield* unknownFields(resource, right, here);
  }
}

const resources = JSON.parse(readFileSync(0, "utf8"));
const faults = resources.map((resource) => {
  const found = fault(resource);
  return found === undefined ? [...unknownFields(resource, resource.spec, "spec")] : [found];
});
process.stdout.write(JSON.stringify(faults));
