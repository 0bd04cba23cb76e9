{{/*
Most templates below take a dict: root (the top context), component (admission or controller), role (its values).
*/}}

{{/* Labels of an object. */}}
{{- define "habitat-webhook.labels" -}}
{{- $version := dict "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- toYaml (merge (fromYaml (include "habitat-webhook.selector" .)) $version .root.Values.commonLabels) -}}
{{- end }}

{{/* Labels by which the pods of a role are found. They never change: a Deployment's selector cannot. */}}
{{- define "habitat-webhook.selector" -}}
app.kubernetes.io/name: habitat-webhook
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Metadata of a role's pods. */}}
{{- define "habitat-webhook.podMetadata" -}}
{{- $own := fromYaml (include "habitat-webhook.selector" .) -}}
labels:
  {{- toYaml (merge $own .role.podLabels .root.Values.commonLabels) | nindent 2 }}
{{- with .role.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "habitat-webhook.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/*
Whether `serve` talks to the API server: true or false. A token that it does not need would be of use to a thief alone.
*/}}
{{- define "habitat-webhook.serveUsesTheAPI" -}}
{{ eq .Values.serve.namespaces "watch" }}
{{- end }}

{{/* Whether `serve` writes Events: true or false. */}}
{{- define "habitat-webhook.serveWritesEvents" -}}
{{ and .Values.serve.events (eq .Values.serve.namespaces "watch") }}
{{- end }}

{{/* Fields of a role's pod that say who it is and where it runs. */}}
{{- define "habitat-webhook.pod" -}}
# A Service's variables (HABITAT_WEBHOOK_SERVICE_HOST, …) begin like those of the settings.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {{ toYaml (dict "name" .) }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .root.Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .role.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if .role.topologySpreadConstraints }}
  {{- toYaml .role.topologySpreadConstraints | nindent 2 }}
{{- else }}
  # matchLabelKeys: during an update the new pods are spread among themselves. nodeTaintsPolicy: a node that is being
  # drained does not count as one that still has none.
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: DoNotSchedule
    nodeTaintsPolicy: Honor
    labelSelector: &pods
      matchLabels:
        {{- include "habitat-webhook.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: *pods
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{/* Fields of a role's container. */}}
{{- define "habitat-webhook.container" -}}
image: {{ include "habitat-webhook.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .role.resources | nindent 2 }}
# Alive means that the process answers. Neither is ready without what it needs: a certificate; a view of the cluster.
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/* A PodDisruptionBudget: of two or more pods one may be evicted at a time; a pod that is not well anyway always. */}}
{{- define "habitat-webhook.budget" -}}
{{- if gt (int .role.replicas) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "habitat-webhook.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "habitat-webhook.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Annotations and labels of a webhook configuration. */}}
{{- define "habitat-webhook.configurationMetadata" -}}
{{- if or .Values.admission.annotations (eq .Values.certificates.mode "certManager") }}
annotations:
  {{- with .Values.admission.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if eq .Values.certificates.mode "certManager" }}
  # cert-manager's cainjector writes caBundle of all entries.
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/habitat-webhook-tls
  {{- end }}
{{- end }}
labels:
  {{- $labels := fromYaml (include "habitat-webhook.labels" (dict "root" . "component" "admission")) }}
  {{- toYaml (merge $labels .Values.admission.labels) | nindent 2 }}
  {{- if eq .Values.certificates.mode "managed" }}
  # The controller keeps caBundle of all entries: it writes the CA there, and puts it back.
  habitat.sh/ca-bundle: managed
  {{- end }}
{{- end }}

{{/* The namespaces that the webhook is never asked about, as a list. */}}
{{- define "habitat-webhook.excluded" -}}
{{- toYaml (uniq (concat (list "kube-system" "kube-node-lease" .Release.Namespace) .Values.admission.excludedNamespaces)) -}}
{{- end }}
