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
The queues that are counted, as YAML: the ending of their triggers' names, and their URLs. KEDA alone would scale by the
longest of them; the formula adds them up.
*/}}
{{- define "sd-on-eks.queues" -}}
{{- $agent := .Values.runtime.queueAgent -}}
"": {{ $agent.sqsQueueUrl | quote }}
{{- with $agent.sqsHighQueueUrl }}
_high: {{ . | quote }}
{{- end }}
{{- with $agent.sqsLowQueueUrl }}
_low: {{ . | quote }}
{{- end }}
{{- end }}

{{/*
The formula of the number of pods: as many as the tasks call for, but never fewer than work: each task in flight may be
on a pod of its own. More tasks than pods are in flight where agents hold some in advance.
*/}}
{{- define "sd-on-eks.podsFormula" -}}
{{- $scaling := .Values.runtime.scaling -}}
{{- $total := list -}}
{{- $waiting := list -}}
{{- range $ending, $url := include "sd-on-eks.queues" . | fromYaml -}}
{{- $total = append $total (print "total" $ending) -}}
{{- $waiting = append $waiting (print "waiting" $ending) -}}
{{- end -}}
{{- $format := gt (len $total) 1 | ternary "(%s)" "%s" -}}
{{- $total = printf $format (join " + " $total) -}}
{{- $waiting = printf $format (join " + " $waiting) -}}
max({{ $scaling.scaleOnInFlight | ternary $total $waiting }} / {{ $scaling.queueLength }}, min({{ $total }} - {{ $waiting }}, pods))
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
