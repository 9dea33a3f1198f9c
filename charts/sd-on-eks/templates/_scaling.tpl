{{/*
The autoscaler's behavior, and what the operator adds. All pods of a burst are ordered at once: their nodes boot side by
side. Pods stay for the cooldown, of which Kubernetes takes no more than an hour.

The scaler itself keeps pods for work that is still coming, and for counts that waver, so that one of the autoscaler's
periods is enough where it decides. All pods that it wants are ordered: the autoscaler would ignore a twentieth pod beside nineteen.
*/}}
{{- define "sd-on-eks.autoscaler" -}}
{{- $scaling := .Values.runtime.scaling -}}
{{- $up := dict "policies" (list (dict "type" "Pods" "value" $scaling.maxReplicaCount "periodSeconds" 15)) -}}
{{- with $scaling.scalerUrl -}}
{{- $_ := set $up "tolerance" "0" -}}
{{- end -}}
{{- $window := empty $scaling.scalerUrl | ternary 3600 15 -}}
{{- $down := dict "stabilizationWindowSeconds" (min (int $scaling.cooldownPeriod) $window) -}}
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
The formula of the number of pods: as many as the work calls for, but never fewer than work: each task in flight may be
on a pod of its own. More tasks than pods are in flight where agents hold some in advance.

What the work calls for is the scaler's to say. KEDA gives nil for it, and ?? another value, while the scaler does not
answer: then the number of tasks decides. Where the queues cannot be read either, there stay as many pods as there are.
*/}}
{{- define "sd-on-eks.podsFormula" -}}
{{- $scaling := .Values.runtime.scaling -}}
{{- $endings := include "sd-on-eks.queues" . | fromYaml | keys | sortAlpha -}}
{{- $counted := $scaling.scaleOnInFlight | ternary "total" "waiting" -}}
{{- if $scaling.scalerUrl -}}
{{- $tasks := include "sd-on-eks.sumOfReadings" (dict "reading" $counted "endings" $endings "unread" "0") -}}
{{- $total := include "sd-on-eks.sumOfReadings" (dict "reading" "total" "endings" $endings "unread" "pods") -}}
{{- $waiting := include "sd-on-eks.sumOfReadings" (dict "reading" "waiting" "endings" $endings "unread" "0") -}}
max(wanted ?? ({{ $tasks }} / {{ $scaling.queueLength }}), min({{ $total }} - {{ $waiting }}, pods))
{{- else -}}
{{- $tasks := include "sd-on-eks.sumOfReadings" (dict "reading" $counted "endings" $endings) -}}
{{- $total := include "sd-on-eks.sumOfReadings" (dict "reading" "total" "endings" $endings) -}}
{{- $waiting := include "sd-on-eks.sumOfReadings" (dict "reading" "waiting" "endings" $endings) -}}
max({{ $tasks }} / {{ $scaling.queueLength }}, min({{ $total }} - {{ $waiting }}, pods))
{{- end -}}
{{- end }}

{{/*
The sum of a reading of all queues; "unread" is what takes the place of one that KEDA cannot make.
*/}}
{{- define "sd-on-eks.sumOfReadings" -}}
{{- $terms := list -}}
{{- range $ending := .endings -}}
{{- $term := print $.reading $ending -}}
{{- with $.unread }}{{ $term = printf "(%s ?? %s)" $term . }}{{ end -}}
{{- $terms = append $terms $term -}}
{{- end -}}
{{- join " + " $terms | printf (gt (len $terms) 1 | ternary "(%s)" "%s") -}}
{{- end }}

{{/*
What KEDA asks the scaler, with the runtime's settings: they are not the scaler's own, so that it need not be told of a
change.
*/}}
{{- define "sd-on-eks.scalerQuestion" -}}
{{- with .Values.runtime.scaling -}}
{{ .scalerUrl }}?min={{ .minReplicaCount }}&max={{ .maxReplicaCount }}&targetWaitSeconds={{ .targetWaitSeconds -}}
&secondsPerJob={{ .secondsPerJob }}
{{- end -}}
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
