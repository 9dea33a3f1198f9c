{{/* commandArguments as a list: words, split at spaces outside quotes. */}}
{{- define "sd-on-eks.arguments" -}}
{{- range regexFindAll "(?:[^\\s\"']|\"[^\"]*\"|'[^']*')+" . -1 }}
- {{ regexReplaceAll "\"([^\"]*)\"|'([^']*)'" . "${1}${2}" | quote }}
{{- end }}
{{- end }}

{{/*
Passes once the server takes jobs; only then does the agent start. A checkpoint that is loaded at start must be there.
One try of the script lasts 50 s, one GET no time at all: so startupSeconds is divided by different numbers.
*/}}
{{- define "sd-on-eks.startupProbe" -}}
{{- $type := include "sd-on-eks.type" . | fromYaml -}}
{{- $seconds := .Values.runtime.inferenceApi.startupSeconds | float64 -}}
{{- $filename := include "sd-on-eks.modelFilename" . -}}
{{- if $filename -}}
exec:
  command:
    - python3
    - -c
    - |
      {{- .Files.Get "files/checkpoint-loaded.py" | trim | nindent 6 }}
    - 127.0.0.1:{{ $type.port }}
    - {{ $filename | quote }}
    - "50"
timeoutSeconds: 55
periodSeconds: 1
failureThreshold: {{ divf $seconds 50 | ceil }}
{{- else -}}
httpGet:
  path: {{ $type.healthPath }}
  port: model-server
timeoutSeconds: 5
periodSeconds: 5
failureThreshold: {{ divf $seconds 5 | ceil }}
{{- end -}}
{{- end }}

{{/*
The model server, a native sidecar: it starts before the agent and ends after it. It has no preStop, for the kubelet
would wait for that while the agent still needs the server.
*/}}
{{- define "sd-on-eks.modelServer" -}}
{{- $api := .Values.runtime.inferenceApi -}}
{{- $type := include "sd-on-eks.type" . | fromYaml -}}
name: model-server
image: {{ include "sd-on-eks.image" (list . $api.image .Values.runtime.type) }}
imagePullPolicy: {{ $api.imagePullPolicy }}
restartPolicy: Always
{{- with $api.commandArguments }}
args:
  {{- include "sd-on-eks.arguments" . | trim | nindent 2 }}
{{- end }}
env:
  {{- if $type.hasModelOptions }}
  - name: MODELS_FOLDER
    value: {{ $api.modelMountPath | quote }}
  - name: MODEL_OPTIONS
    value: {{ $api.modelOptions | toJson | quote }}
  {{- else }}
  - name: MODELS_DIR
    value: {{ $api.modelMountPath | quote }}
  - name: MODEL_FILENAME
    value: {{ include "sd-on-eks.modelFilename" . | quote }}
  {{- end }}
  {{- with include "sd-on-eks.extraEnv" $api.extraEnv | trim }}
  {{- . | nindent 2 }}
  {{- end }}
ports:
  - name: model-server
    containerPort: {{ $type.port }}
startupProbe:
  {{- include "sd-on-eks.startupProbe" . | nindent 2 }}
livenessProbe: # asks the agent, which alone sees a server that answers and draws nothing
  exec:
    command:
      - python3
      - -c
      - |
        {{- .Files.Get "files/agent-has-no-complaint.py" | trim | nindent 8 }}
      - 127.0.0.1:{{ include "sd-on-eks.healthPort" . }}
      - "3"
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 9
  terminationGracePeriodSeconds: 10 # a server that hangs would use up the pod's whole grace
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: {{ $api.readOnlyRootFilesystem }}
  capabilities:
    drop: [ALL]
resources:
  {{- include "sd-on-eks.mapping" (list . $api.resources "runtime.inferenceApi.resources") | nindent 2 }}
volumeMounts:
  - name: server-tmp
    mountPath: /tmp
  {{- if $type.hasModelOptions }}
  - name: cache
    mountPath: /cache # where the image's HF_HOME and TORCHINDUCTOR_CACHE_DIR are
  {{- end }}
  {{- if .Values.runtime.persistence.enabled }}
  - name: models
    mountPath: {{ $api.modelMountPath }}
    readOnly: true
  {{- end }}
{{- end }}
