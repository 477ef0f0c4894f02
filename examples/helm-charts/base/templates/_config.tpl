{{- /* One of the customer's shared ConfigMaps. Every service may use it, so it comes before all of them. */ -}}
{{- define "orchestrator.sharedConfigMap" -}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "orchestrator.labels" (dict "customer" .customer "service" "base" "version" (.root.Chart.Version | replace "+" "_")) | nindent 4 }}
  annotations:
    {{- include "syncWaveCondition" (dict "sync-wave" -1) | nindent 4 }}
{{- include "orchestrator.configData" (get (.root.Values.configData | default dict) .short) }}
{{- end -}}

{{- /* A ConfigMap of one service. */ -}}
{{- define "orchestrator.ownConfigMap" -}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  {{- include "orchestrator.objectMeta" .ctx | nindent 2 }}
{{- include "orchestrator.configData" .data }}
{{- end -}}

{{- define "orchestrator.configData" }}
{{- if . }}
data:
  {{- range $key, $value := . }}
  {{ $key }}: {{ include "orchestrator.text" $value | quote }}
  {{- end }}
{{- else }}
data: {}
{{- end }}
{{- end -}}

{{- /*
  Of a service's configMaps and secrets, as JSON: which ConfigMaps it owns, and
  where its environment comes from. In {name, key}, `name` is the short name
  (of a shared ConfigMap, if there is one of that name) and `key` the object of
  the service's own. Later entries win, so the service's own come last.
*/ -}}
{{- define "orchestrator.config" -}}
{{- $shared := .root.Values.configMaps | default dict -}}
{{- $owned := list -}}
{{- $own := list -}}
{{- $common := list -}}
{{- range .service.configMaps -}}
  {{- if hasKey $shared .name -}}
    {{- $common = append $common (get $shared .name) -}}
  {{- end -}}
  {{- $key := .key | default "" -}}
  {{- if and (not $key) (not (hasKey $shared .name)) -}}
    {{- $key = printf "%s-%s" $.fullName .name -}}
  {{- end -}}
  {{- if has $key (values $shared) -}}
    {{- $common = append $common $key -}}
  {{- else if $key -}}
    {{- $owned = append $owned (dict "name" $key "data" (get ($.service.configData | default dict) .name)) -}}
    {{- $own = append $own $key -}}
  {{- end -}}
{{- end -}}
{{- $from := list -}}
{{- range uniq (concat $common $own) -}}
  {{- $from = append $from (dict "configMapRef" (dict "name" . "optional" true)) -}}
{{- end -}}
{{- $secrets := list -}}
{{- range .service.secrets -}}
  {{- $secrets = append $secrets (.key | default (printf "%s-%s" $.customer .name)) -}}
{{- end -}}
{{- range uniq $secrets -}}
  {{- $from = append $from (dict "secretRef" (dict "name" . "optional" true)) -}}
{{- end -}}
{{- dict "owned" $owned "from" $from | toJson -}}
{{- end -}}
