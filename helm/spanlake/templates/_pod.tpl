{{/* The pod of a role: (dict "root" $ "role" $role "values" $values). */}}
{{- define "spanlake.pod" -}}
metadata:
  labels:
    {{- include "spanlake.labels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "spanlake.config" . | sha256sum }}
spec:
  serviceAccountName: {{ include "spanlake.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # Drain: five seconds to be taken out of the endpoints, then what was promised is finished.
  terminationGracePeriodSeconds: 60
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: spanlake
      image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [{{ .role | quote }}]
      envFrom:
        - configMapRef:
            name: {{ include "spanlake.name" . }}
      env:
        {{- include "spanlake.secretEnv" . | nindent 8 }}
        {{- if eq .role "ingest" }}
        - name: POD_NAME
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        - name: POD_NAMESPACE
          valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
        - name: SPANLAKE_ADVERTISE
          value: "$(POD_NAME).{{ include "spanlake.name" . }}-pods.$(POD_NAMESPACE).svc.{{ .root.Values.clusterDomain }}:{{ .root.Values.ports.grpc }}"
        {{- end }}
      ports:
        - { name: http, containerPort: {{ .root.Values.ports.http }} }
        - { name: grpc, containerPort: {{ .root.Values.ports.grpc }} }
        {{- if eq .role "ingest" }}
        - { name: otlp-grpc, containerPort: {{ .root.Values.ports.otlpGrpc }} }
        {{- end }}
        {{- if .root.Values.metrics.enabled }}
        - { name: admin, containerPort: {{ .root.Values.metrics.port }} }
        {{- end }}
      # Alive while the log is replayed; ready when it has been.
      livenessProbe:
        httpGet: { path: /livez, port: http }
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 3
        failureThreshold: 2
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        privileged: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - { name: data, mountPath: /var/lib/spanlake }
        - { name: tmp, mountPath: /tmp }
        - { name: tls, mountPath: /etc/spanlake/tls, readOnly: true }
  volumes:
    # Read again every minute, so a renewed certificate needs no restart.
    - name: tls
      secret:
        secretName: {{ include "spanlake.name" . }}-tls
        defaultMode: 0440
    - name: tmp
      emptyDir: {}
    {{- if ne .role "ingest" }}
    # Caches and what queries spill; nothing that must outlive the pod.
    - name: data
      emptyDir: {}
    {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "spanlake.selector" . | nindent 10 }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What a role reads from its environment and anybody may see. */}}
{{- define "spanlake.config" -}}
{{- $fullname := include "spanlake.fullname" .root -}}
{{- $ports := .root.Values.ports -}}
SPANLAKE_HTTP: "0.0.0.0:{{ $ports.http }}"
SPANLAKE_GRPC: "0.0.0.0:{{ $ports.grpc }}"
SPANLAKE_OTLP_GRPC: "0.0.0.0:{{ $ports.otlpGrpc }}"
{{- if .root.Values.metrics.enabled }}
SPANLAKE_ADMIN: "0.0.0.0:{{ .root.Values.metrics.port }}"
{{- end }}
SPANLAKE_DATA_DIR: /var/lib/spanlake
SPANLAKE_STORE: {{ include "spanlake.store" .root | quote }}
SPANLAKE_AUTH_URL: "{{ $fullname }}-auth:{{ $ports.grpc }}"
SPANLAKE_QUERY_URL: "{{ $fullname }}-query:{{ $ports.grpc }}"
SPANLAKE_INTERNAL_TLS__CA: /etc/spanlake/tls/ca.crt
SPANLAKE_INTERNAL_TLS__CERTIFICATE: /etc/spanlake/tls/tls.crt
SPANLAKE_INTERNAL_TLS__KEY: /etc/spanlake/tls/tls.key
SPANLAKE_TELEMETRY__FORMAT: json
SPANLAKE_TELEMETRY__FILTER: {{ .root.Values.log | quote }}
{{- range $key, $value := .root.Values.store.env }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- range $key, $value := .values.env }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "spanlake.secretEnv" -}}
{{- $secret := include "spanlake.secret" .root -}}
- name: SPANLAKE_CATALOG
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: catalog } }
- name: SPANLAKE_LIMITS
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: limits } }
{{- if .root.Values.metrics.enabled }}
- name: SPANLAKE_ADMIN_TOKEN
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: admin-token } }
{{- end }}
{{- if eq .role "auth" }}
- name: SPANLAKE_SECRET
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: secret } }
{{- end }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: aws-access-key-id, optional: true } }
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: aws-secret-access-key, optional: true } }
{{- end }}
