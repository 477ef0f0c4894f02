{{- /*
  The four conditions. Each gives one annotation, or nothing, and takes a plain
  map: syncWaveCondition the group (or anything with a sync-wave), the others
  the service.
*/ -}}

{{- /* Any whole number; a group without one is in wave 0. */ -}}
{{- define "syncWaveCondition" -}}
{{- $wave := 0 -}}
{{- if hasKey . "sync-wave" -}}
  {{- $wave = index . "sync-wave" -}}
{{- else if hasKey . "syncWave" -}}
  {{- $wave = .syncWave -}}
{{- end -}}
argocd.argoproj.io/sync-wave: {{ include "orchestrator.wholeNumber" (dict "what" "sync-wave" "value" $wave) | quote }}
{{- end -}}

{{- /* The inner toJson is the value, the outer one quotes it for YAML. */ -}}
{{- define "dependencyCondition" -}}
{{- if .dependencies -}}
orchestrator.rtte.com/dependencies: {{ .dependencies | toJson | toJson }}
{{- end -}}
{{- end -}}

{{- define "healthCheckCondition" -}}
{{- if .healthCheck -}}
orchestrator.rtte.com/health-check: {{ .healthCheck | toJson | toJson }}
{{- end -}}
{{- end -}}

{{- define "deploymentStrategyCondition" -}}
orchestrator.rtte.com/deployment-strategy: {{ include "orchestrator.strategy" . | lower | replace "_" "-" | quote }}
{{- end -}}

{{- /* Only for a service that says `prune: false`. */ -}}
{{- define "pruneCondition" -}}
{{- if eq (toString .prune) "false" -}}
argocd.argoproj.io/sync-options: "Prune=false"
{{- end -}}
{{- end -}}

{{- /* ROLLING_UPDATE (also when nothing is said), BLUE_GREEN or CANARY. */ -}}
{{- define "orchestrator.strategy" -}}
{{- $strategy := .deploymentStrategy | default "ROLLING_UPDATE" -}}
{{- if not (has $strategy (list "ROLLING_UPDATE" "BLUE_GREEN" "CANARY")) -}}
  {{- fail (printf "service %v: deploymentStrategy %v is none of ROLLING_UPDATE, BLUE_GREEN, CANARY" .name $strategy) -}}
{{- end -}}
{{- $strategy -}}
{{- end -}}

{{- /* A number from YAML is a float in Helm; one from --set is an integer or text. */ -}}
{{- define "orchestrator.wholeNumber" -}}
{{- $text := include "orchestrator.text" .value -}}
{{- if not (regexMatch "^-?[0-9]+$" $text) -}}
  {{- fail (printf "%s: %q is not a whole number" .what $text) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- /* Text of a scalar, without turning 1000000 into 1e+06. */ -}}
{{- define "orchestrator.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /*
  The version in a service's image, as a label's value: the tag, else the start
  of the digest, else "latest". Of the service's own image and not of
  global.imageTag, so that a new tag touches only the services that use it.
*/ -}}
{{- define "orchestrator.version" -}}
{{- $name := last (splitList "/" .) -}}
{{- $plain := first (splitList "@" $name) -}}
{{- $version := "latest" -}}
{{- if contains ":" $plain -}}
  {{- $version = last (splitList ":" $plain) -}}
{{- else if contains "@" $name -}}
  {{- $version = last (splitList ":" $name) | trunc 12 -}}
{{- end -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" $version "_" | trunc 63 | trimAll "-_." | default "unknown" -}}
{{- end -}}

{{- /* Labels of every object. Takes customer, service, version. */ -}}
{{- define "orchestrator.labels" -}}
{{ include "orchestrator.selector" . }}
app.kubernetes.io/name: {{ .service | quote }}
app.kubernetes.io/instance: {{ printf "%s-%s" .customer .service | quote }}
app.kubernetes.io/part-of: {{ .customer | quote }}
app.kubernetes.io/version: {{ .version | quote }}
{{- end -}}

{{- /*
  What selects a service's pods. Not app.kubernetes.io/instance: Argo CD writes
  that label itself where it tracks resources by label, and a selector cannot
  be changed afterwards.
*/ -}}
{{- define "orchestrator.selector" -}}
orchestrator.rtte.com/customer: {{ .customer | quote }}
orchestrator.rtte.com/service: {{ .service | quote }}
{{- end -}}
