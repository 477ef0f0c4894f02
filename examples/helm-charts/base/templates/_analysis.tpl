{{- /*
  The analysis of a Rollout, or nothing: it is made where
  global.analysis.prometheus gives the address of a Prometheus.
*/ -}}
{{- define "orchestrator.isAnalysed" -}}
{{- $analysis := (.root.Values.global | default dict).analysis | default dict -}}
{{- if and .rollout $analysis.prometheus -}}true{{- end -}}
{{- end -}}

{{- /*
  The share of requests that were answered well. Without any traffic, or where
  Prometheus knows nothing of the service, there is no verdict: such a
  measurement is inconclusive, and the Rollout pauses until somebody decides.
*/ -}}
{{- define "orchestrator.analysisTemplate" -}}
{{- $analysis := .root.Values.global.analysis -}}
{{- $of := "namespace=\"{{args.namespace}}\",service=\"{{args.service-name}}\"" -}}
{{- $rate := default 0.95 $analysis.successRate | float64 -}}
{{- if or (le $rate 0.0) (gt $rate 1.0) -}}
  {{- fail (printf "global.analysis.successRate: %v is not between 0 and 1" $analysis.successRate) -}}
{{- end -}}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: {{ .fullName }}-success-rate
  {{- include "orchestrator.objectMeta" . | nindent 2 }}
spec:
  args:
    - name: service-name
    - name: namespace
  metrics:
    - name: success-rate
      interval: {{ $analysis.interval | default "30s" }}
      count: {{ $analysis.count | default 5 | int }}
      successCondition: len(result) > 0 && !isNaN(result[0]) && result[0] >= {{ $rate }}
      failureCondition: len(result) > 0 && !isNaN(result[0]) && result[0] < {{ $rate }}
      failureLimit: {{ if hasKey $analysis "failureLimit" }}{{ $analysis.failureLimit | int }}{{ else }}1{{ end }}
      consecutiveErrorLimit: 4
      provider:
        prometheus:
          address: {{ $analysis.prometheus | quote }}
          query: |
            sum(rate(http_requests_total{ {{- $of }},status!~"5.."}[2m]))
            /
            sum(rate(http_requests_total{ {{- $of }}}[2m]))
{{- end -}}

{{- /* Which analysis a Rollout makes, and of what. */ -}}
{{- define "orchestrator.analysis" -}}
templates:
  - templateName: {{ .fullName }}-success-rate
args:
  - name: service-name
    value: {{ .fullName }}
  - name: namespace
    value: {{ .namespace }}
{{- end -}}
