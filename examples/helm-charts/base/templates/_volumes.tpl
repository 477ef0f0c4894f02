{{- /*
  Of a service's volumeClaims, as JSON: the claims to make, the pod's volumes,
  and the container's mounts. A claim that one node at a time can mount fits
  one pod; with several replicas (or a Rollout, which runs old and new pods
  side by side) each pod gets a claim of its own instead, which goes with it.
  `accessModes` says that the storage can be shared, `claim` names
  one that is made elsewhere.
*/ -}}
{{- define "orchestrator.volumes" -}}
{{- $claims := list -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- $exclusive := false -}}
{{- if ne (toString .overrides.volumes) "false" -}}
  {{- range .service.volumeClaims -}}
    {{- $spec := dict
      "accessModes" (.accessModes | default (list "ReadWriteOnce"))
      "resources" (dict "requests" (dict "storage" (.size | default "1Gi")))
    -}}
    {{- if .storageClass -}}
      {{- $_ := set $spec "storageClassName" .storageClass -}}
    {{- end -}}
    {{- $name := printf "%s-%s" $.fullName .name -}}
    {{- $volume := dict "name" .name -}}
    {{- if .claim -}}
      {{- $_ := set $volume "persistentVolumeClaim" (dict "claimName" .claim) -}}
      {{- $exclusive = or $exclusive (le $.replicas 1) -}}
    {{- else if or .accessModes (and (le $.replicas 1) (not $.rollout)) -}}
      {{- $_ := set $volume "persistentVolumeClaim" (dict "claimName" $name) -}}
      {{- $claims = append $claims (dict "name" $name "spec" $spec) -}}
      {{- $exclusive = or $exclusive (not .accessModes) -}}
    {{- else -}}
      {{- $_ := set $volume "ephemeral" (dict "volumeClaimTemplate" (dict "spec" $spec)) -}}
    {{- end -}}
    {{- $volumes = append $volumes $volume -}}
    {{- $mounts = append $mounts (dict "name" .name "mountPath" (.mountPath | default (printf "/data/%s" .name))) -}}
  {{- end -}}
{{- end -}}
{{- dict "claims" $claims "volumes" $volumes "mounts" $mounts "exclusive" $exclusive | toJson -}}
{{- end -}}

{{- define "orchestrator.claim" -}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .claim.name }}
  {{- include "orchestrator.objectMeta" .ctx | nindent 2 }}
spec:
  {{- toYaml .claim.spec | nindent 2 }}
{{- end -}}
