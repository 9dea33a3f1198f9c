{{/*
Addresses of the Kubernetes API as CIDRs. Some network plugins see the service's address, others the servers' behind
it; both are looked up. Nothing is found where templates are only written out.
*/}}
{{- define "sd-on-eks.kubernetesApi" -}}
{{- $cidrs := .Values.runtime.networkPolicy.kubernetesApiCidrs -}}
{{- if not $cidrs -}}
{{- $service := lookup "v1" "Service" "default" "kubernetes" | default dict -}}
{{- $addresses := list (dig "spec" "clusterIP" "" $service) -}}
{{- range dig "items" list (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "" | default dict) -}}
{{- if eq (dig "metadata" "labels" "kubernetes.io/service-name" "" .) "kubernetes" -}}
{{- range .endpoints -}}
{{- $addresses = concat $addresses .addresses -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range compact $addresses | uniq -}}
{{- $cidrs = append $cidrs (printf "%s/%d" . (contains ":" . | ternary 128 32)) -}}
{{- end -}}
{{- end -}}
{{- $cidrs | toYaml -}}
{{- end }}
