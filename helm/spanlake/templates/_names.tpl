{{/* The roles, in the order of rendering. */}}
{{- define "spanlake.roles" -}}
auth ingest query export compactor
{{- end }}

{{- define "spanlake.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Of one role: (dict "root" $ "role" $role). These never change after the first installation. */}}
{{- define "spanlake.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "spanlake.labels" -}}
{{ include "spanlake.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "spanlake.name" -}}
{{ include "spanlake.fullname" .root }}-{{ .role }}
{{- end }}

{{/* The Secret's name; rendering ends here without a real one. */}}
{{- define "spanlake.secret" -}}
{{- $name := required "secret.name: name a Secret with the keys catalog, limits and secret" .Values.secret.name -}}
{{- if regexMatch "(?i)(change-?me|placeholder|todo|example|^x+$)" $name -}}
{{- fail (printf "secret.name: %q is a placeholder; make a Secret and name it here" $name) -}}
{{- end -}}
{{ $name }}
{{- end }}

{{- define "spanlake.store" -}}
{{- $url := required "store.url: say where data files go, as s3://BUCKET/PREFIX" .Values.store.url -}}
{{- if not (hasPrefix "s3://" $url) -}}
{{- fail (printf "store.url: %q is not s3://BUCKET/PREFIX; pods do not share a disk" $url) -}}
{{- end -}}
{{- if regexMatch "^s3://[^/]*@" $url -}}
{{- fail "store.url: credentials belong in the Secret, not in the URL" -}}
{{- end -}}
{{ $url }}
{{- end }}
