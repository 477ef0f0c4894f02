{{- /* A Deployment, or a Rollout for BLUE_GREEN and CANARY. */ -}}
{{- define "orchestrator.workload" -}}
{{- $service := .service -}}
{{- $overrides := .overrides -}}
---
{{- if .rollout }}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
{{- else }}
apiVersion: apps/v1
kind: Deployment
{{- end }}
metadata:
  name: {{ .fullName }}
  {{- include "orchestrator.objectMeta" . | nindent 2 }}
    {{- range list "dependencyCondition" "healthCheckCondition" "deploymentStrategyCondition" }}
    {{- with include . $service }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- end }}
spec:
  replicas: {{ .replicas }}
  {{- $rollback := $service.rollback | default dict }}
  revisionHistoryLimit: {{ $rollback.maxVersions | default 5 | int }}
  progressDeadlineSeconds: {{ coalesce $overrides.progressDeadlineSeconds $service.progressDeadlineSeconds 600 | int }}
  selector:
    matchLabels:
      {{- include "orchestrator.selector" (dict "customer" .customer "service" $service.name) | nindent 6 }}
  strategy:
    {{- include "orchestrator.rolloutStrategy" . | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "orchestrator.labels" (dict "customer" .customer "service" $service.name "version" .version) | nindent 8 }}
      {{- if .config.owned }}
      annotations:
        checksum/config: {{ .config.owned | toJson | sha256sum }}
      {{- end }}
    spec:
      {{- include "orchestrator.pod" . | trim | nindent 6 }}
{{- end -}}

{{- define "orchestrator.rolloutStrategy" -}}
{{- if eq .strategy "BLUE_GREEN" -}}
{{- $settings := dict "autoPromotionEnabled" false -}}
{{- if include "orchestrator.isAnalysed" . -}}
  {{- /* The preview has no traffic to be measured. */ -}}
  {{- $_ := set $settings "postPromotionAnalysis" (include "orchestrator.analysis" . | fromYaml) -}}
{{- end -}}
{{- range list .service.blueGreen .overrides.blueGreen -}}
  {{- range $key, $value := . -}}
    {{- $_ := set $settings $key $value -}}
  {{- end -}}
{{- end -}}
blueGreen:
  activeService: {{ .fullName }}-active
  previewService: {{ .fullName }}-preview
  activeMetadata:
    labels:
      orchestrator.rtte.com/role: active
  previewMetadata:
    labels:
      orchestrator.rtte.com/role: preview
  {{- toYaml $settings | nindent 2 }}
{{- else if eq .strategy "CANARY" -}}
{{- $settings := dict "steps" (list
  (dict "setWeight" 25) (dict "pause" (dict "duration" "30s"))
  (dict "setWeight" 50) (dict "pause" (dict "duration" "30s"))
  (dict "setWeight" 75) (dict "pause" (dict "duration" "30s"))
  (dict "setWeight" 100)) -}}
{{- if include "orchestrator.isAnalysed" . -}}
  {{- $_ := set $settings "analysis" (set (include "orchestrator.analysis" . | fromYaml) "startingStep" 1) -}}
{{- end -}}
{{- range list .service.canary .overrides.canary -}}
  {{- range $key, $value := . -}}
    {{- $_ := set $settings $key $value -}}
  {{- end -}}
{{- end -}}
canary:
  {{- toYaml $settings | nindent 2 }}
{{- else if .volumes.exclusive -}}
{{- /* The new pod could not mount the claim while the old one holds it. */ -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 1
  maxUnavailable: 0
{{- end -}}
{{- end -}}

{{- define "orchestrator.pod" -}}
{{- $service := .service -}}
{{- $overrides := .overrides -}}
{{- $security := include "orchestrator.security" . | fromJson -}}
{{- with $service.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ eq (toString $service.automountServiceAccountToken) "true" }}
{{- /* Otherwise each container gets seven variables for every Service of the customer. */}}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ coalesce $overrides.terminationGracePeriodSeconds $service.terminationGracePeriodSeconds 30 | int }}
{{- with $security.pod }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ $service.name }}
    image: {{ $overrides.image | default .image | quote }}
    imagePullPolicy: IfNotPresent
    {{- /* Another image does not know this one's commands. */}}
    {{- if not $overrides.image }}
    {{- with $service.command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $service.args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
    ports:
      - name: main
        containerPort: {{ .listenPort }}
        protocol: TCP
    env:
      {{- include "orchestrator.env" . | trim | nindent 6 }}
    {{- with .config.from }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with include "orchestrator.probes" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with ($overrides.resources | default $service.resources) }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $security.container }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .volumes.mounts }}
    volumeMounts:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- with .volumes.volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* env may be a map or a Kubernetes list; a name set twice keeps the service's value. */ -}}
{{- define "orchestrator.env" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $env := dict
  "CUSTOMER_ID" (dict "value" .customer)
  "ENVIRONMENT" (dict "value" (toString ($global.environment | default "")))
  "SERVICE_NAME" (dict "value" .service.name)
  "SERVICE_VERSION" (dict "value" .version)
-}}
{{- if kindIs "map" .service.env -}}
  {{- range $name, $value := .service.env -}}
    {{- $_ := set $env $name (dict "value" (include "orchestrator.text" $value)) -}}
  {{- end -}}
{{- else -}}
  {{- range .service.env -}}
    {{- $_ := set $env .name (omit . "name") -}}
  {{- end -}}
{{- end -}}
{{- range $name, $source := $env }}
- name: {{ $name }}
  {{- toYaml $source | nindent 2 }}
{{- end }}
{{- end -}}

{{- /*
  Probes from healthCheck; without one there are none. The kubelet can only
  GET, so any other method is checked by opening the port. A slow start is the
  startup probe's business: the others begin when it has passed.
*/ -}}
{{- define "orchestrator.probes" -}}
{{- if .service.healthCheck -}}
{{- $check := dict -}}
{{- range list .service.healthCheck .overrides.healthCheck -}}
  {{- range $key, $value := . -}}
    {{- $_ := set $check $key $value -}}
  {{- end -}}
{{- end -}}
{{- $port := coalesce .overrides.port $check.port .listenPort | int -}}
{{- $action := dict "tcpSocket" (dict "port" $port) -}}
{{- if and $check.endpoint (eq (upper ($check.method | default "GET")) "GET") -}}
  {{- $action = dict "httpGet" (dict "path" (printf "/%s" (trimPrefix "/" $check.endpoint)) "port" $port) -}}
{{- end -}}
{{- $timeout := $check.timeoutSeconds | default 10 | int -}}
{{- $interval := $check.intervalSeconds | default 30 | int -}}
startupProbe:
  {{- toYaml $action | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: {{ $timeout }}
  failureThreshold: {{ div (coalesce .overrides.startupSeconds .service.startupSeconds 120 | int) 2 | max 1 }}
readinessProbe:
  {{- toYaml $action | nindent 2 }}
  periodSeconds: {{ $interval }}
  timeoutSeconds: {{ $timeout }}
  failureThreshold: 3
livenessProbe:
  {{- toYaml $action | nindent 2 }}
  periodSeconds: {{ $interval }}
  timeoutSeconds: {{ $timeout }}
  failureThreshold: 6
{{- end -}}
{{- end -}}

{{- /*
  Our own images run as an ordinary user with nothing to spare. What another
  image needs (a user of its own, a capability) we cannot know, so it only gets
  what harms none. podSecurityContext and securityContext of a service replace
  these, also when empty.
*/ -}}
{{- define "orchestrator.security" -}}
{{- $pod := dict "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $container := dict "allowPrivilegeEscalation" false -}}
{{- range ternary .root.Values.ownImagePrefixes (list "rtte/") (kindIs "slice" .root.Values.ownImagePrefixes) -}}
  {{- if hasPrefix . $.image -}}
    {{- $_ := set $pod "runAsNonRoot" true -}}
    {{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
      {{- $_ := set $pod . 10001 -}}
    {{- end -}}
    {{- $_ := set $container "capabilities" (dict "drop" (list "ALL")) -}}
  {{- end -}}
{{- end -}}
{{- range list .service .overrides -}}
  {{- if hasKey . "podSecurityContext" -}}
    {{- $pod = .podSecurityContext -}}
  {{- end -}}
  {{- if hasKey . "securityContext" -}}
    {{- $container = .securityContext -}}
  {{- end -}}
{{- end -}}
{{- dict "pod" $pod "container" $container | toJson -}}
{{- end -}}
