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
