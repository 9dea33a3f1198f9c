{{/*
The autoscaler's behavior, and what the operator adds. All pods of a burst are ordered at once: their nodes boot side by
side. Pods stay for the cooldown, of which Kubernetes takes no more than an hour.
*/}}
{{- define "sd-on-eks.autoscaler" -}}
{{- $scaling := .Values.runtime.scaling -}}
{{- $up := dict "policies" (list (dict "type" "Pods" "value" $scaling.maxReplicaCount "periodSeconds" 15)) -}}
{{- $down := dict "stabilizationWindowSeconds" (min (int $scaling.cooldownPeriod) 3600) -}}
{{- mustMergeOverwrite (dict "behavior" (dict "scaleUp" $up "scaleDown" $down)) $scaling.extraHPAConfig | toYaml -}}
{{- end }}

{{/*
The number of pods. While they follow the queue the chart says only how many there are at first: left out, Kubernetes
would start one, and keep it for as long as the queue cannot be read. What helm has set is repeated, for what it says no
more becomes 1; what KEDA or an operator has set since is theirs, and left out.
*/}}
{{- define "sd-on-eks.replicas" -}}
{{- if not .Values.runtime.scaling.enabled -}}
replicas: {{ .Values.runtime.replicas }}
{{- else -}}
{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace (include "sd-on-eks.name" .) -}}
{{- if not $found -}}
replicas: {{ .Values.runtime.scaling.minReplicaCount }}
{{- end -}}
{{- range dig "metadata" "managedFields" list ($found | default dict) -}}
{{- if and (eq .manager "helm") (hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas") -}}
replicas: {{ $found.spec.replicas }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
