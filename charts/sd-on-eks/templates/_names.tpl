{{/* Name of everything in the release's namespace. */}}
{{- define "sd-on-eks.name" -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/* Name of what belongs to no namespace: unique in the cluster, and short enough for the value of a label. */}}
{{- define "sd-on-eks.clusterName" -}}
{{- $name := printf "%s-%s" .Release.Namespace .Release.Name -}}
{{- if gt (len $name) 63 -}}
{{ $name | trunc 54 | trimSuffix "-" }}-{{ $name | sha256sum | trunc 8 }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end }}

{{/* The runtime's name in requests. */}}
{{- define "sd-on-eks.runtimeName" -}}
{{ .Values.runtime.name | default .Release.Name }}
{{- end }}

{{- define "sd-on-eks.serviceAccountName" -}}
{{ .Values.runtime.serviceAccountName | default (include "sd-on-eks.name" .) }}
{{- end }}

{{/*
What Kubernetes lets nobody change in a volume and its claim, as YAML. Names follow it, so that an upgrade makes new ones
and takes the old ones away once the last pod has left them.
*/}}
{{- define "sd-on-eks.fixedOfVolume" -}}
{{- $persistence := .Values.runtime.persistence -}}
accessModes: {{ $persistence.accessModes | toJson }}
storage: {{ $persistence.size | quote }}
storageClassName: {{ $persistence.storageClass | quote }}
volumeAttributes:
  bucketName: {{ $persistence.bucketName | quote }}
  {{- with $persistence.cacheSize }}
  cache: emptyDir
  cacheEmptyDirSizeLimit: {{ . | quote }}
  {{- end }}
  mountpointContainerResourcesRequestsMemory: {{ $persistence.mountMemory | quote }}
{{- end }}

{{- define "sd-on-eks.volumeHash" -}}
{{ include "sd-on-eks.fixedOfVolume" . | fromYaml | toJson | sha256sum | trunc 8 }}
{{- end }}

{{/* Name and handle of the volume: two volumes with one handle are one to the driver. */}}
{{- define "sd-on-eks.volumeName" -}}
{{ include "sd-on-eks.clusterName" . }}-{{ include "sd-on-eks.volumeHash" . }}
{{- end }}

{{- define "sd-on-eks.claimName" -}}
{{- with .Values.runtime.persistence.existingClaim -}}
{{ . }}
{{- else -}}
{{ include "sd-on-eks.name" . }}-models-{{ include "sd-on-eks.volumeHash" . }}
{{- end -}}
{{- end }}

{{/* Labels by which the release's pods are found; they never change. */}}
{{- define "sd-on-eks.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sd-on-eks.labels" -}}
{{ include "sd-on-eks.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sd-on-eks
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Label of the runtime's pods and nodes. */}}
{{- define "sd-on-eks.runtimeLabel" -}}
sd-on-eks/runtime: {{ include "sd-on-eks.runtimeName" . }}
{{- end }}

{{/* What runtimes/registry.py says of the runtime's type, as YAML. */}}
{{- define "sd-on-eks.type" -}}
{{ get (.Files.Get "files/runtime-types.yaml" | fromYaml) .Values.runtime.type | toYaml }}
{{- end }}

{{/* Whether a service of AWS runs the jobs: then the pod has no model server, and needs neither a GPU nor models. */}}
{{- define "sd-on-eks.isManaged" -}}
{{- if (include "sd-on-eks.type" . | fromYaml).isManaged -}}
true
{{- end -}}
{{- end }}

{{/* How the pod sees the model bucket: mount or copy; empty where it does not. */}}
{{- define "sd-on-eks.modelsMode" -}}
{{- if and .Values.runtime.persistence.enabled (not (include "sd-on-eks.isManaged" .)) -}}
{{ .Values.runtime.persistence.mode }}
{{- end -}}
{{- end }}

{{/* The checkpoint that is loaded at start; empty where tasks choose it, and for types without checkpoints. */}}
{{- define "sd-on-eks.modelFilename" -}}
{{- if and (include "sd-on-eks.type" . | fromYaml).loadsCheckpoint (not .Values.runtime.queueAgent.dynamicModel) -}}
{{ .Values.runtime.inferenceApi.modelFilename }}
{{- end -}}
{{- end }}

{{/* Region of queue, topic and bucket. */}}
{{- define "sd-on-eks.region" -}}
{{ .Values.runtime.queueAgent.awsRegion | default (index (splitList ":" .Values.runtime.queueAgent.snsTopicArn) 3) }}
{{- end }}

{{/* An image: its digest goes before its tag. Takes [context, values, name]. */}}
{{- define "sd-on-eks.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository | default (printf "sd-on-eks/%s" (index . 2)) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Secrets with registry credentials, as YAML. */}}
{{- define "sd-on-eks.imagePullSecrets" -}}
{{- range .Values.runtime.imagePullSecrets }}
- name: {{ . }}
{{- end }}
{{- end }}

{{/* A command for containers that are there and do nothing. */}}
{{- define "sd-on-eks.pause" -}}
[python3, -c, "import signal; signal.pause()"]
{{- end }}

{{/* The security context of a container that needs no right at all. */}}
{{- define "sd-on-eks.noRights" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What a container has that runs for a moment, or only waits. */}}
{{- define "sd-on-eks.idleContainer" -}}
securityContext:
  {{- include "sd-on-eks.noRights" . | nindent 2 }}
resources:
  requests:
    cpu: 10m
    memory: 32Mi
{{- end }}

{{/* A mapping that has a default as long as it is not set; an empty one is set. Takes [context, value, path]. */}}
{{- define "sd-on-eks.mapping" -}}
{{- if kindIs "invalid" (index . 1) -}}
{{ get ((index . 0).Files.Get "files/mapping-defaults.yaml" | fromYaml) (index . 2) | toYaml }}
{{- else -}}
{{ index . 1 | toYaml }}
{{- end -}}
{{- end }}

{{/* extraEnv as Kubernetes takes it, whichever of its two forms it has. */}}
{{- define "sd-on-eks.extraEnv" -}}
{{- if kindIs "map" . -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- else -}}
{{- with . }}
{{- toYaml . }}
{{- end }}
{{- end -}}
{{- end }}

{{/* The namespace of an in-cluster host, as YAML: {namespace, port}; empty for a host elsewhere. Takes [context, URL]. */}}
{{- define "sd-on-eks.inCluster" -}}
{{- $host := index (splitList ":" (urlParse (index . 1)).host) 0 -}}
{{- $port := regexFind ":[0-9]+$" (urlParse (index . 1)).host | trimPrefix ":" -}}
{{- $labels := splitList "." $host -}}
{{- $isService := or (le (len $labels) 2) (eq (index (append $labels "") 2) "svc") -}}
{{- if and $isService (not (regexMatch "^[0-9.]*$" $host)) -}}
namespace: {{ index (append $labels (index . 0).Release.Namespace) 1 }}
port: {{ $port | default (hasPrefix "https" (index . 1) | ternary 443 80) }}
{{- end -}}
{{- end }}
