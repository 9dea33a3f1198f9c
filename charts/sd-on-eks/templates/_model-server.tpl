{{/* commandArguments as a list: words, split at spaces outside quotes. */}}
{{- define "sd-on-eks.arguments" -}}
{{- range regexFindAll "(?:[^\\s\"']|\"[^\"]*\"|'[^']*')+" . -1 }}
- {{ regexReplaceAll "\"([^\"]*)\"|'([^']*)'" . "${1}${2}" | quote }}
{{- end }}
{{- end }}

{{/*
The model server, a native sidecar: it ends after the agent. It has no startup probe, for which the kubelet would hold the
agent back: the agent waits for the server by itself, and its own start takes time. It has no preStop, for which the
kubelet would wait while the agent still needs the server.
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
  {{- if eq (include "sd-on-eks.modelsMode" .) "copy" }}
  - name: MODELS_MODE
    value: copy
  {{- end }}
  - name: TMP_SIZE
    value: {{ $api.tmpSize | quote }}
  {{- with include "sd-on-eks.extraEnv" $api.extraEnv | trim }}
  {{- . | nindent 2 }}
  {{- end }}
ports:
  - name: model-server
    containerPort: {{ $type.port }}
livenessProbe: # asks the agent, which alone sees a server that answers and draws nothing
  exec:
    command:
      - python3
      - -c
      - |
        {{- .Files.Get "files/model-server-alive.py" | trim | nindent 8 }}
      - 127.0.0.1:{{ include "sd-on-eks.healthPort" . }}
      - "{{ $type.port }}"
      - "2"
      - "{{ $api.startupSeconds }}"
      - "1" # the first process of the container
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
