{{/* SPDX-License-Identifier: MIT */}}
{{/* The pod of both kinds. */}}
{{- define "sluice.pod" -}}
metadata:
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "sluice.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "sluice.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ add .Values.drainSeconds .Values.terminationMarginSeconds }}
  containers:
    - name: sluice
      image: {{ include "sluice.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      # The second file is the chart's, laid over the first.
      args: [run, /etc/sluice/sluice.yaml, /etc/sluice-chart/chart.yaml]
      env:
        - name: SLUICE_POD
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        {{- range .Values.secretEnv }}
        - name: {{ .name }}
          valueFrom: { secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | quote }} } }
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - { name: admin, containerPort: {{ .Values.admin.port }}, protocol: TCP }
        {{- range .Values.ports }}
        - { name: {{ .name }}, containerPort: {{ .port }}, protocol: TCP }
        {{- end }}
      startupProbe:
        {{- include "sluice.probe" (dict "root" . "path" "/startupz" "times" .Values.probes.startup) | nindent 8 }}
      livenessProbe:
        {{- include "sluice.probe" (dict "root" . "path" "/livez" "times" .Values.probes.liveness) | nindent 8 }}
      readinessProbe:
        {{- include "sluice.probe" (dict "root" . "path" "/readyz" "times" .Values.probes.readiness) | nindent 8 }}
      {{- with .Values.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/sluice, readOnly: true }
        - { name: chart, mountPath: /etc/sluice-chart, readOnly: true }
        - { name: admin-token, mountPath: /run/secrets/admin, readOnly: true }
        {{- if .Values.admin.tls.existingSecret }}
        - { name: admin-tls, mountPath: /run/secrets/admin-tls, readOnly: true }
        {{- end }}
        {{- range .Values.secretFiles }}
        - { name: {{ printf "secret-%s" .name }}, mountPath: {{ printf "/run/secrets/%s" .name }}, readOnly: true }
        {{- end }}
        - { name: data, mountPath: /var/lib/sluice }
        - { name: tmp, mountPath: /tmp }
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range .Values.topologySpread.keys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "sluice.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ default (include "sluice.fullname" .) .Values.existingConfigMap }} }
    - name: chart
      configMap: { name: {{ include "sluice.fullname" . }}-chart }
    - name: admin-token
      secret:
        secretName: {{ include "sluice.tokenSecret" . }}
        defaultMode: 0440
        items: [{ key: {{ .Values.admin.token.key | quote }}, path: token }]
    {{- with .Values.admin.tls.existingSecret }}
    - name: admin-tls
      secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
    {{- end }}
    {{- range .Values.secretFiles }}
    - name: {{ printf "secret-%s" .name }}
      secret: { secretName: {{ .secret | quote }}, defaultMode: 0440 }
    {{- end }}
    - name: tmp
      emptyDir: { sizeLimit: 64Mi }
    {{- if or (eq .Values.kind "Deployment") (not .Values.persistence.enabled) }}
    - name: data
      emptyDir: { sizeLimit: {{ .Values.persistence.size }} }
    {{- end }}
{{- end }}
