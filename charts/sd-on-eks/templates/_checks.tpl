{{/* Everything that is missing or contradicts something else, in one message that says what to do. */}}
{{- define "sd-on-eks.check" -}}
{{- $runtime := .Values.runtime -}}
{{- $agent := $runtime.queueAgent -}}
{{- $scaling := $runtime.scaling -}}
{{- $errors := list -}}
{{- range $key, $what := dict "s3Bucket" "the bucket that pictures are written to" "snsTopicArn" "the topic that notices are published to" "sqsQueueUrl" "the runtime's queue" "jobsTable" "the DynamoDB table of jobs" -}}
{{- if not (get $agent $key) -}}
{{- $errors = append $errors (printf "runtime.queueAgent.%s: set it to %s" $key $what) -}}
{{- end -}}
{{- end -}}
{{- $types := .Files.Get "files/runtime-types.yaml" | fromYaml -}}
{{- if not (hasKey $types $runtime.type) -}}
{{- $errors = append $errors (printf "runtime.type: %q is none of %s" $runtime.type (keys $types | sortAlpha | join ", ")) -}}
{{- else if and (get $types $runtime.type).loadsCheckpoint (not $agent.dynamicModel) (not $runtime.inferenceApi.modelFilename) -}}
{{- $errors = append $errors "runtime.inferenceApi.modelFilename: set it to the checkpoint to load, or runtime.queueAgent.dynamicModel to true" -}}
{{- else if and (get $types $runtime.type).isManaged (not $agent.modelOptions) -}}
{{- $errors = append $errors "runtime.queueAgent.modelOptions: set it to what the service runs, as `model` of config.yaml" -}}
{{- else if and (get $types $runtime.type).hasModelOptions (not (get $types $runtime.type).isManaged) (not $runtime.inferenceApi.modelOptions) -}}
{{- $errors = append $errors "runtime.inferenceApi.modelOptions: set it to the model to serve, as {profile: flux-schnell}" -}}
{{- end -}}
{{- if and $agent.snsTopicArn (not $agent.awsRegion) (lt (len (splitList ":" $agent.snsTopicArn)) 6) -}}
{{- $errors = append $errors "runtime.queueAgent.awsRegion: set it, for runtime.queueAgent.snsTopicArn is no ARN with a region in it" -}}
{{- end -}}
{{- if and (include "sd-on-eks.modelsMode" .) (not $runtime.persistence.existingClaim) (not $runtime.persistence.bucketName) -}}
{{- $errors = append $errors "runtime.persistence.bucketName: set it to the model bucket, or runtime.persistence.existingClaim to a claim of your own, or runtime.persistence.enabled to false" -}}
{{- end -}}
{{- $copies := eq (include "sd-on-eks.modelsMode" .) "copy" -}}
{{- if and $copies (or $runtime.persistence.existingClaim $agent.dynamicModel (not (include "sd-on-eks.type" . | fromYaml).copiesModels)) -}}
{{- $errors = append $errors "runtime.persistence.mode: set it to mount, for only ComfyUI, and SD WebUI with one checkpoint, can copy their models, and no claim's" -}}
{{- end -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicaCount) (int $scaling.maxReplicaCount)) -}}
{{- $errors = append $errors "runtime.scaling.minReplicaCount: set it to maxReplicaCount or less" -}}
{{- end -}}
{{- if and $scaling.warm.nodes (not (and $scaling.enabled (include "sd-on-eks.hasOwnNodes" .))) -}}
{{- $errors = append $errors "runtime.scaling.warm.nodes: set it to 0, for only a runtime that is scaled and has nodes of its own can keep some" -}}
{{- end -}}
{{- $window := dig "behavior" "scaleDown" "stabilizationWindowSeconds" $scaling.cooldownPeriod $scaling.extraHPAConfig -}}
{{- if and $scaling.enabled (lt (int $window) (min (int $scaling.cooldownPeriod) 3600)) -}}
{{- $errors = append $errors "runtime.scaling.extraHPAConfig: behavior.scaleDown.stabilizationWindowSeconds must not be less than cooldownPeriod, or pods go that are about to work" -}}
{{- end -}}
{{- if include "sd-on-eks.hasOwnNodes" . -}}
{{- $nodes := .Values.karpenter.nodeTemplate -}}
{{- $advice := "or karpenter.enabled to false where other nodes serve" -}}
{{- if not $nodes.iamRole -}}
{{- $errors = append $errors (printf "karpenter.nodeTemplate.iamRole: set it to the name of the nodes' role, %s" $advice) -}}
{{- end -}}
{{- range $key, $what := dict "securityGroupSelector" "security groups" "subnetSelector" "subnets" -}}
{{- if not (get $nodes $key) -}}
{{- $errors = append $errors (printf "karpenter.nodeTemplate.%s: set it to tags of the nodes' %s, %s" $key $what $advice) -}}
{{- end -}}
{{- end -}}
{{- if and (eq (include "sd-on-eks.instanceStorePolicy" .) "RAID0") $nodes.dataVolume.snapshotID -}}
{{- $errors = append $errors "karpenter.nodeTemplate.instanceStorePolicy: RAID0 hides what dataVolume.snapshotID holds; choose one of the two" -}}
{{- end -}}
{{- $limit := get (include "sd-on-eks.resourceLimits" . | fromYaml) "nvidia.com/gpu" | toString -}}
{{- $pods := include "sd-on-eks.maxPods" . | int -}}
{{- $gpus := include "sd-on-eks.gpusPerPod" . | int -}}
{{- if and (regexMatch "^[0-9]+$" $limit) (lt (int $limit) (mul $pods $gpus)) -}}
{{- $errors = append $errors (printf "karpenter.provisioner.resourceLimits: nvidia.com/gpu is %s, too little for %d pods of %d each; raise it, leave it out, or allow fewer pods" $limit $pods $gpus) -}}
{{- end -}}
{{- with .Values.karpenter.provisioner.capacityType -}}
{{- if not (or .onDemand .spot) -}}
{{- $errors = append $errors "karpenter.provisioner.capacityType: set onDemand or spot to true" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $errors -}}
{{- fail (printf "\n\nThese values must be set otherwise:\n  - %s\n" (join "\n  - " $errors)) -}}
{{- end -}}
{{- end }}
