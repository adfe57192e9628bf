{{- define "stillwatch.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}-stillwatch
{{- end -}}

{{- define "stillwatch.labels" -}}
app.kubernetes.io/name: stillwatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stillwatch.secret" -}}
{{ .Values.secret.existing | default (include "stillwatch.name" .) }}
{{- end -}}

{{- define "stillwatch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
