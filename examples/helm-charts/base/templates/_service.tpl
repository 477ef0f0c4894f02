{{- /*
  All objects of one service. They are in one sync wave: a claim in an earlier
  wave than the pod that mounts it would never be bound where the storage class
  waits for its first consumer.
*/ -}}
{{- define "orchestrator.service" -}}
{{- $service := .service -}}
{{- $overrides := .root.Values.overrides | default dict -}}
{{- if not $service.image -}}
  {{- fail (printf "service %s: image is missing" $service.name) -}}
{{- end -}}
{{- $strategy := include "orchestrator.strategy" $service -}}
{{- $image := tpl (toString $service.image) .root -}}
{{- $replicas := 1 -}}
{{- range list $service $overrides -}}
  {{- if hasKey . "replicas" -}}
    {{- $replicas = include "orchestrator.wholeNumber" (dict "what" (printf "service %s: replicas" $service.name) "value" .replicas) | int -}}
  {{- end -}}
{{- end -}}
{{- $ctx := dict
  "root" .root
  "customer" .customer
  "namespace" .namespace
  "wave" .wave
  "service" $service
  "overrides" $overrides
  "fullName" (printf "%s-%s" .customer $service.name)
  "strategy" $strategy
  "rollout" (ne $strategy "ROLLING_UPDATE")
  "replicas" $replicas
  "image" $image
  "version" (include "orchestrator.version" $image)
  "listenPort" (coalesce $overrides.port $service.port 8080 | int)
-}}
{{- $config := include "orchestrator.config" $ctx | fromJson -}}
{{- $volumes := include "orchestrator.volumes" $ctx | fromJson -}}
{{- $_ := set $ctx "config" $config -}}
{{- $_ := set $ctx "volumes" $volumes -}}

{{- range $config.owned }}
{{ include "orchestrator.ownConfigMap" (dict "ctx" $ctx "name" .name "data" .data) }}
{{- end }}
{{- range $volumes.claims }}
{{ include "orchestrator.claim" (dict "ctx" $ctx "claim" .) }}
{{- end }}
{{ include "orchestrator.kubernetesService" (dict "ctx" $ctx "name" $ctx.fullName "activeOnly" (eq $strategy "BLUE_GREEN")) }}
{{- if eq $strategy "BLUE_GREEN" }}
{{ include "orchestrator.kubernetesService" (dict "ctx" $ctx "name" (printf "%s-active" $ctx.fullName)) }}
{{ include "orchestrator.kubernetesService" (dict "ctx" $ctx "name" (printf "%s-preview" $ctx.fullName)) }}
{{- end }}
{{- if include "orchestrator.isAnalysed" $ctx }}
{{ include "orchestrator.analysisTemplate" $ctx }}
{{- end }}
{{ include "orchestrator.workload" $ctx }}
{{- end -}}

{{- define "orchestrator.objectMeta" -}}
namespace: {{ .namespace }}
labels:
  {{- include "orchestrator.labels" (dict "customer" .customer "service" .service.name "version" .version) | nindent 2 }}
annotations:
  {{- include "syncWaveCondition" .wave | nindent 2 }}
  {{- with include "pruneCondition" .service }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /*
  Argo Rollouts narrows -active and -preview to the right pods. The plain
  service is what others call: for blue-green it takes the active pods, by the
  label that the Rollout puts on them, and never the preview.
*/ -}}
{{- define "orchestrator.kubernetesService" -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  {{- include "orchestrator.objectMeta" .ctx | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "orchestrator.selector" (dict "customer" .ctx.customer "service" .ctx.service.name) | nindent 4 }}
    {{- if .activeOnly }}
    orchestrator.rtte.com/role: active
    {{- end }}
  ports:
    - name: main
      port: {{ .ctx.service.port | default 8080 | int }}
      targetPort: main
      protocol: TCP
    {{- /* Whoever asks for its health asks through the service: a port of its own is one more here. */}}
    {{- $check := .ctx.service.healthCheck | default dict }}
    {{- if and $check.port (ne (int $check.port) (.ctx.service.port | default 8080 | int)) }}
    - name: health
      port: {{ $check.port | int }}
      targetPort: {{ coalesce .ctx.overrides.port $check.port | int }}
      protocol: TCP
    {{- end }}
{{- end -}}
