{{/* Whether the runtime has nodes of its own. */}}
{{- define "sd-on-eks.hasOwnNodes" -}}
{{- if and .Values.karpenter.enabled (not (include "sd-on-eks.isManaged" .)) -}}
true
{{- end -}}
{{- end }}

{{/* Name of the NodePool of preferred types. */}}
{{- define "sd-on-eks.preferredPool" -}}
{{- $name := include "sd-on-eks.clusterName" . -}}
{{- if gt (len $name) 53 -}}
{{- $name = printf "%s-%s" ($name | trunc 44 | trimSuffix "-") ($name | sha256sum | trunc 8) -}}
{{- end -}}
{{ $name }}.preferred
{{- end }}

{{/*
The runtime's NodePools, as YAML: one of all its instance types, and if some are preferred one of these with a weight,
which Karpenter tries first. Where Spot is allowed the second has Spot alone, so that another type's Spot goes before an
instance on demand. The first one's name never changes; a dot is in no other name.
https://karpenter.sh/docs/concepts/nodepools/#specweight
*/}}
{{- define "sd-on-eks.nodePools" -}}
{{- $provisioner := .Values.karpenter.provisioner -}}
{{- $name := include "sd-on-eks.clusterName" . -}}
{{- $onDemand := $provisioner.capacityType.onDemand | ternary (list "on-demand") list -}}
{{- $spot := $provisioner.capacityType.spot | ternary (list "spot") list -}}
- name: {{ $name }}
  capacityTypes: {{ concat $onDemand $spot | toJson }}
  instanceTypes: {{ $provisioner.instanceType | toJson }}
{{- with $provisioner.preferredInstanceType }}
- name: {{ include "sd-on-eks.preferredPool" $ }}
  weight: 10
  capacityTypes: {{ $spot | default $onDemand | toJson }}
  instanceTypes: {{ . | toJson }}
{{- end }}
{{- end }}

{{/* Taints of the runtime's own nodes. */}}
{{- define "sd-on-eks.taints" -}}
- key: nvidia.com/gpu
  value: "true"
  effect: NoSchedule
- key: sd-on-eks/runtime
  value: {{ include "sd-on-eks.runtimeName" . }}
  effect: NoSchedule
{{- with .Values.karpenter.provisioner.extraTaints }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Which nodes the pods may be on, as keys of a pod's spec: any with the operator's labels, of the runtime's own pools. */}}
{{- define "sd-on-eks.placement" -}}
{{- with .Values.runtime.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if include "sd-on-eks.hasOwnNodes" . }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - key: karpenter.sh/nodepool
              operator: In
              values: [{{ include "sd-on-eks.clusterName" . }}, {{ include "sd-on-eks.preferredPool" . }}]
{{- end }}
{{- end }}

{{/* What the pods bear: the taints of the runtime's own nodes, and what the operator adds. */}}
{{- define "sd-on-eks.tolerations" -}}
{{- if include "sd-on-eks.hasOwnNodes" . }}
{{- range include "sd-on-eks.taints" . | fromYamlArray }}
- key: {{ .key }}
  {{- if .value }}
  operator: Equal
  value: {{ .value | quote }}
  {{- else }}
  operator: Exists
  {{- end }}
  effect: {{ .effect }}
{{- end }}
{{- end }}
{{- with .Values.runtime.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The most pods that the autoscaler orders, or their fixed number. */}}
{{- define "sd-on-eks.maxPods" -}}
{{- with .Values.runtime -}}
{{ .scaling.enabled | ternary .scaling.maxReplicaCount .replicas }}
{{- end -}}
{{- end }}

{{/* GPUs that a pod asks for; 0 where it asks for none. */}}
{{- define "sd-on-eks.gpusPerPod" -}}
{{- $resources := include "sd-on-eks.mapping" (list . .Values.runtime.inferenceApi.resources "runtime.inferenceApi.resources") | fromYaml -}}
{{- $kind := "nvidia.com/gpu" -}}
{{ get ($resources.limits | default dict) $kind | default (get ($resources.requests | default dict) $kind) | default 0 | int }}
{{- end }}

{{/*
What all nodes together may not exceed, as YAML: what is given, or else the GPUs of all pods, of a quarter more during a
roll-out, of placeholders, and of one large node that is used in part.
*/}}
{{- define "sd-on-eks.resourceLimits" -}}
{{- $given := .Values.karpenter.provisioner.resourceLimits -}}
{{- $pods := include "sd-on-eks.maxPods" . | int -}}
{{- $gpus := include "sd-on-eks.gpusPerPod" . | int -}}
{{- if not (kindIs "invalid" $given) -}}
{{ $given | toYaml }}
{{- else if $gpus -}}
nvidia.com/gpu: {{ add (mul $gpus (add $pods (divf $pods 4 | ceil) .Values.runtime.scaling.warm.nodes)) 8 }}
{{- else -}}
{}
{{- end -}}
{{- end }}

{{/* An EBS volume. Takes [values, default size, default iops, default throughput, key]. */}}
{{- define "sd-on-eks.volume" -}}
{{- $volume := index . 0 -}}
volumeSize: {{ $volume.volumeSize | default (index . 1) }}
volumeType: {{ $volume.volumeType }}
{{- $gp3 := eq $volume.volumeType "gp3" }}
{{- with $volume.iops | default ($gp3 | ternary (index . 2) 0) }}
iops: {{ . }}
{{- end }}
{{- with $volume.throughput | default ($gp3 | ternary (index . 3) 0) }}
throughput: {{ . }}
{{- end }}
deleteOnTermination: {{ $volume.deleteOnTermination }}
encrypted: true
{{- with index . 4 }}
kmsKeyID: {{ . }}
{{- end }}
{{- if $volume.snapshotID }}
snapshotID: {{ $volume.snapshotID }}
{{- with $volume.volumeInitializationRate }}
volumeInitializationRate: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* RAID0 where local disks, if an instance has any, hold images; empty where the data volume does. */}}
{{- define "sd-on-eks.instanceStorePolicy" -}}
{{- $nodes := .Values.karpenter.nodeTemplate -}}
{{- $default := empty $nodes.dataVolume.snapshotID | ternary "RAID0" "None" -}}
{{- $nodes.instanceStorePolicy | default $default | replace "None" "" -}}
{{- end }}

{{/*
Bottlerocket's settings. With RAID0 the images lie on local disks, and layers are pulled and unpacked side by side:
https://bottlerocket.dev/en/os/1.53.x/api/settings/container-runtime-plugins
*/}}
{{- define "sd-on-eks.userData" -}}
{{- if include "sd-on-eks.instanceStorePolicy" . -}}
[settings.container-runtime]
snapshotter = "soci"

[settings.container-runtime-plugins.soci-snapshotter]
pull-mode = "parallel-pull-unpack"

[settings.container-runtime-plugins.soci-snapshotter.parallel-pull-unpack]
max-concurrent-downloads-per-image = 10
concurrent-download-chunk-size = "16mb"
max-concurrent-unpacks-per-image = 10
discard-unpacked-layers = true
{{ end }}
{{- with .Values.karpenter.nodeTemplate.userData }}
{{- tpl . $ }}
{{- end }}
{{- end }}
