{{- /*
  The entry point: everything of one customer, or what .Values.render selects.
  Named templates are shared by all charts and see the values of the chart that
  calls them, so `include "orchestrator.customer" .` is all a customer's chart
  needs.
*/ -}}
{{- define "orchestrator.customer" -}}
{{- $global := .Values.global | default dict -}}
{{- $render := .Values.render | default dict -}}
{{- $shared := .Values.configMaps | default dict -}}
{{- $only := $render.service | default "" | toString -}}
{{- $part := $render.part | default "all" -}}
{{- if not (has $part (list "all" "shared" "services")) -}}
  {{- fail (printf "render.part: %v is none of all, shared, services" $part) -}}
{{- end -}}
{{- if and $only (ne $part "all") -}}
  {{- fail (printf "render.service %s and render.part %s exclude each other" $only $part) -}}
{{- end -}}
{{- /* The shared part goes by the service name "base", here as in its labels. */ -}}
{{- if eq $only "base" -}}
  {{- $only = "" -}}
  {{- $part = "shared" -}}
{{- end -}}
{{- if and (or .Values.microservices $shared) (not $global.customerId) -}}
  {{- fail "global.customerId is missing" -}}
{{- end -}}
{{- $customer := toString $global.customerId -}}
{{- $namespace := $global.namespace | default .Release.Namespace -}}

{{- if and (not $only) (ne $part "services") -}}
  {{- range $short, $name := $shared }}
{{ include "orchestrator.sharedConfigMap" (dict "root" $ "customer" $customer "namespace" $namespace "short" $short "name" $name) }}
  {{- end -}}
{{- end -}}

{{- $names := dict -}}
{{- $owners := dict -}}
{{- range $groupName, $group := .Values.microservices | default dict -}}
  {{- range $service := ($group | default dict).services -}}
    {{- $name := toString $service.name -}}
    {{- include "orchestrator.checkName" (dict "customer" $customer "name" $name "names" $names "group" $groupName) -}}
    {{- $_ := set $names $name $groupName -}}
    {{- if ne (toString $service.enabled) "false" -}}
      {{- range $config := $service.configMaps -}}
        {{- if and $config.key (not (has $config.key (values $shared))) -}}
          {{- if hasKey $owners $config.key -}}
            {{- fail (printf "ConfigMap %s belongs to service %s and to service %s; a ConfigMap for several services is listed in configMaps at the top" $config.key (get $owners $config.key) $name) -}}
          {{- end -}}
          {{- $_ := set $owners $config.key $name -}}
        {{- end -}}
      {{- end -}}
      {{- if and (ne $part "shared") (or (not $only) (eq $only $name)) -}}
        {{- $wave := dict -}}
        {{- if hasKey $service "sync-wave" -}}
          {{- $wave = pick $service "sync-wave" -}}
        {{- else if hasKey $group "sync-wave" -}}
          {{- $wave = pick $group "sync-wave" -}}
        {{- end }}
{{ include "orchestrator.service" (dict "root" $ "customer" $customer "namespace" $namespace "wave" $wave "service" $service) }}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- if and $only (not (hasKey $names $only)) -}}
  {{- fail (printf "render.service: %s has no service %q. It has: %s" ($customer | default "this chart") $only (keys $names | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}

{{- /* Names end up in names of objects and labels; the longest is <customer>-<service>-preview. */ -}}
{{- define "orchestrator.checkName" -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .name) -}}
  {{- fail (printf "group %s: %q is not a usable service name (lower case letters, digits and dashes)" .group .name) -}}
{{- end -}}
{{- if eq .name "base" -}}
  {{- fail (printf "group %s: the service name base is taken by the shared part" .group) -}}
{{- end -}}
{{- if gt (len (printf "%s-%s-preview" .customer .name)) 63 -}}
  {{- fail (printf "service %s: %s-%s-preview is longer than 63 characters" .name .customer .name) -}}
{{- end -}}
{{- if hasKey .names .name -}}
  {{- fail (printf "service %s is listed twice, in groups %s and %s" .name (get .names .name) .group) -}}
{{- end -}}
{{- end -}}
