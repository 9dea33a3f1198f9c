{{/* Port on which the agent answers the kubelet; nothing else in the pod listens there. */}}
{{- define "sd-on-eks.healthPort" -}}
8081
{{- end }}

{{/* The environment of the queue agent; queue_agent/settings.py says what each variable means. */}}
{{- define "sd-on-eks.agentEnv" -}}
{{- $agent := .Values.runtime.queueAgent -}}
{{- $deadlines := $agent.deadlines -}}
{{- $names := dict
  "SQS_QUEUE_URL" $agent.sqsQueueUrl
  "SQS_HIGH_QUEUE_URL" $agent.sqsHighQueueUrl
  "SQS_LOW_QUEUE_URL" $agent.sqsLowQueueUrl
  "SQS_DEAD_QUEUE_URL" $agent.sqsDeadQueueUrl
  "SNS_TOPIC_ARN" $agent.snsTopicArn
  "S3_BUCKET" $agent.s3Bucket
  "INPUT_BUCKETS" (join "," $agent.inputBuckets)
  "JOBS_TABLE" $agent.jobsTable
  "RUNTIME_TYPE" .Values.runtime.type
  "RUNTIME_NAME" (include "sd-on-eks.runtimeName" .)
  "DYNAMIC_SD_MODEL" $agent.dynamicModel
  "MODEL_FILENAME" (include "sd-on-eks.modelFilename" .)
  "LOGLEVEL" $agent.logLevel
  "START_TIMEOUT_S" $deadlines.startSeconds
  "EXECUTION_TIMEOUT_S" $deadlines.executionSeconds
  "STALL_TIMEOUT_S" $deadlines.stallSeconds
  "MAX_START_TIMEOUT_S" $deadlines.maxStartSeconds
  "MAX_EXECUTION_TIMEOUT_S" $deadlines.maxExecutionSeconds
  "MEMORY_BUDGET_MIB" (int $agent.memoryBudgetMib)
  "MAX_PIXELS" (int64 $agent.maxPixels)
  "HEALTH_PORT" (include "sd-on-eks.healthPort" .)
  "SHUTDOWN_GRACE_S" (include "sd-on-eks.shutdownGrace" .)
  "AWS_REGION" $agent.awsRegion
  "AWS_ENDPOINT_URL" $agent.awsEndpointUrl
  "OTEL_EXPORTER_OTLP_ENDPOINT" $agent.otlpEndpoint
-}}
{{- if include "sd-on-eks.isManaged" . -}}
{{- $_ := set $names "MODEL_OPTIONS" ($agent.modelOptions | toJson) -}}
{{- end -}}
{{- if not $agent.XRay.enabled -}}
{{- $_ := set $names "OTEL_TRACES_EXPORTER" "none" -}}
{{- end -}}
{{- /* CloudWatch computes percentiles from such histograms alone, and only of what is new in each interval. */ -}}
{{- if $agent.otlpEndpoint -}}
{{- $_ := set $names "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" "delta" -}}
{{- $_ := set $names "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION" "base2_exponential_bucket_histogram" -}}
{{- end -}}
{{- range $name, $value := $names }}
{{- if or $value (kindIs "bool" $value) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $field := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $field }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES # after POD_NAME and POD_NAMESPACE, which it refers to
  value: service.namespace=sd-on-eks,k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.deployment.name={{ include "sd-on-eks.name" . }}
{{- with include "sd-on-eks.extraEnv" $agent.extraEnv | trim }}
{{ . }}
{{- end }}
{{- end }}

{{/*
Seconds that the running job may go on after SIGTERM. 25 of the pod's remain: the interrupted job's message is given
back, pictures of one just ended are stored, and telemetry is flushed (2 of them where no collector answers).
*/}}
{{- define "sd-on-eks.shutdownGrace" -}}
{{ sub .Values.runtime.terminationGracePeriodSeconds 25 }}
{{- end }}

{{/* The agent's resources: those of the values, or the default ones with the memory that its tasks may take. */}}
{{- define "sd-on-eks.agentResources" -}}
{{- $agent := .Values.runtime.queueAgent -}}
{{- $budget := int $agent.memoryBudgetMib -}}
{{- if not (kindIs "invalid" $agent.resources) -}}
{{ toYaml $agent.resources }}
{{- else -}}
requests:
  cpu: {{ include "sd-on-eks.isManaged" . | eq "true" | ternary "100m" "500m" }}
  memory: {{ add $budget 256 }}Mi
limits:
  memory: {{ add (mul $budget 2) 512 }}Mi
{{- end -}}
{{- end }}

{{/* The pod's main container. */}}
{{- define "sd-on-eks.queueAgent" -}}
{{- $agent := .Values.runtime.queueAgent -}}
name: queue-agent
image: {{ include "sd-on-eks.image" (list . $agent.image "queue-agent") }}
imagePullPolicy: {{ $agent.imagePullPolicy }}
env:
  {{- include "sd-on-eks.agentEnv" . | trim | nindent 2 }}
{{- with $agent.credentialsSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
ports:
  - name: health
    containerPort: {{ include "sd-on-eks.healthPort" . }}
livenessProbe:
  httpGet:
    path: /healthz
    port: health
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
  terminationGracePeriodSeconds: 10
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  periodSeconds: 5
  timeoutSeconds: 5
securityContext:
  {{- include "sd-on-eks.noRights" . | nindent 2 }}
resources:
  {{- include "sd-on-eks.agentResources" . | nindent 2 }}
volumeMounts:
  - name: agent-tmp
    mountPath: /tmp
  - name: token
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
{{- end }}

{{/*
Copies the models to the node while the model server starts; it ends before the agent starts. Its memory has no limit: the
copies stay in memory for the server, and are counted as the container's that wrote them.
*/}}
{{- define "sd-on-eks.modelCopies" -}}
{{- $agent := .Values.runtime.queueAgent -}}
{{- $persistence := .Values.runtime.persistence -}}
name: model-copies
image: {{ include "sd-on-eks.image" (list . $agent.image "queue-agent") }}
imagePullPolicy: {{ $agent.imagePullPolicy }}
command: [/opt/venv/bin/python, -m, runtimes.model_copies]
env:
  {{- $names := dict
    "RUNTIME_NAME" (include "sd-on-eks.runtimeName" .)
    "LOGLEVEL" $agent.logLevel
    "AWS_REGION" ($persistence.region | default (include "sd-on-eks.region" .))
    "AWS_ENDPOINT_URL" $agent.awsEndpointUrl
    "MODELS_BUCKET" $persistence.bucketName
    "MODELS_PREFIX" $persistence.prefix
    "MODELS_DIR" "/models"
    "MODELS_SIZE" $persistence.copySize
    "MODEL_FILENAME" (include "sd-on-eks.modelFilename" .)
  }}
  {{- range $name, $value := $names }}
  {{- with $value }}
  - name: {{ $name }}
    value: {{ . | quote }}
  {{- end }}
  {{- end }}
  {{- with include "sd-on-eks.extraEnv" $agent.extraEnv | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- with $agent.credentialsSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "sd-on-eks.noRights" . | nindent 2 }}
resources:
  requests:
    cpu: 100m
    memory: 128Mi
volumeMounts:
  - name: models
    mountPath: /models
{{- end }}
