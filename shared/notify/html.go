package notify

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// page is the HTML of an e-mail: one column, readable on a phone, styles inline because
// mail readers drop others.
const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title></head>
<body style="margin:0;padding:12px;background:#f4f4f4;font-family:Helvetica,Arial,sans-serif;color:#222">
<div style="max-width:600px;margin:auto;background:#fff;border-top:6px solid {{.Color}};padding:16px">
<h2 style="margin:0 0 8px;font-size:18px;overflow-wrap:anywhere">{{.Title}}</h2>
{{with .Measured}}<p style="margin:0 0 8px;font-size:22px;overflow-wrap:anywhere"><b>{{.}}</b></p>
{{end}}{{range .Notices}}<p style="margin:0 0 8px;font-size:15px;white-space:pre-line;overflow-wrap:anywhere">{{.}}</p>
{{end}}<table role="presentation" style="border-collapse:collapse;width:100%;font-size:14px">
{{range .Facts}}<tr><td style="padding:6px 8px 6px 0;border-bottom:1px solid #eee;color:#555;vertical-align:top">{{.Name}}</td><td style="padding:6px 0;border-bottom:1px solid #eee;white-space:pre-line;overflow-wrap:anywhere">{{.Value}}</td></tr>
{{end}}</table>
{{if .Instances}}<table style="border-collapse:collapse;width:100%;font-size:14px;margin-top:12px">
<tr><th style="text-align:left;padding:6px 8px 6px 0;border-bottom:2px solid #ddd">Instance</th><th style="text-align:left;padding:6px 8px 6px 0;border-bottom:2px solid #ddd">Change</th><th style="text-align:left;padding:6px 0;border-bottom:2px solid #ddd">Value</th></tr>
{{range .Instances}}<tr><td style="padding:6px 8px 6px 0;border-bottom:1px solid #eee;overflow-wrap:anywhere">{{index . 0}}</td><td style="padding:6px 8px 6px 0;border-bottom:1px solid #eee">{{index . 1}}</td><td style="padding:6px 0;border-bottom:1px solid #eee;overflow-wrap:anywhere">{{index . 2}}</td></tr>
{{end}}</table>
{{end}}{{with .Runbook}}<p style="font-size:15px"><a href="{{.}}">Runbook</a></p>
{{end}}<p style="margin:16px 0 0;font-size:12px;color:#777;overflow-wrap:anywhere">{{.Footer}}</p>
</div></body></html>
`

// htmlText is the whole message as a page. html/template escapes what data holds.
func htmlText(m alert.Message) (string, error) {
	t, err := template.New("email").Parse(page)
	if err != nil {
		return "", fmt.Errorf("parse the page: %w", err)
	}
	var sentences []string
	for _, text := range notices(m) {
		sentences = append(sentences, cut(text, 2*maxShown))
	}
	rows := facts(m)
	for i := range rows {
		rows[i] = fact{cut(line(rows[i].Name), maxShown), cut(rows[i].Value, maxShown)}
	}
	var instances [][3]string
	for _, x := range m.Instances {
		instances = append(instances, [3]string{cut(line(x.Instance.String()), maxShown), x.Change, cut(line(measured(x.ActualValue, x.Threshold)), maxShown)})
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]any{
		"Color": template.CSS(color(m)), //nolint:gosec // one of our own colours
		"Title": cut(title(m), maxShown), "Measured": cut(line(measured(m.ActualValue, m.Threshold)), maxShown), "Notices": sentences,
		"Facts": rows, "Instances": instances, "Runbook": m.RunbookURL, "Footer": footer(m),
	})
	if err != nil {
		return "", fmt.Errorf("fill the page: %w", err)
	}
	return out.String(), nil
}
