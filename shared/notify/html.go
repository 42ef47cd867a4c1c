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
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="margin:0;padding:16px;background:#f4f4f4;font-family:Helvetica,Arial,sans-serif;color:#222">
<div style="max-width:600px;margin:auto;background:#fff;border-top:6px solid {{.Color}};padding:16px">
<h2 style="margin:0 0 8px;font-size:18px;color:{{.Color}}">{{.Title}}</h2>
{{if .Test}}<p><b>This is a test message; nothing is wrong.</b></p>{{end}}
{{with .M.Description}}<p>{{.}}</p>{{end}}
{{with .M.Reason}}<p style="color:#555">{{.}}</p>{{end}}
<table style="border-collapse:collapse;width:100%;font-size:14px">
{{range .Pairs}}<tr><td style="padding:4px 8px;border-bottom:1px solid #eee;color:#555">{{index . 0}}</td><td style="padding:4px 8px;border-bottom:1px solid #eee">{{index . 1}}</td></tr>
{{end}}</table>
{{if .Lines}}<ul style="font-size:14px">{{range .Lines}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{with .M.RunbookURL}}<p><a href="{{.}}">Runbook</a></p>{{end}}
<p style="font-size:12px;color:#888">{{.Footer}}</p>
</div></body></html>
`

// htmlText is the whole message as a page. html/template escapes what data holds.
func htmlText(m alert.Message) (string, error) {
	t, err := template.New("email").Parse(page)
	if err != nil {
		return "", fmt.Errorf("parse the page: %w", err)
	}
	lines := make([]string, len(m.Instances))
	for i, x := range m.Instances {
		lines[i] = instanceLine(x)
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]any{
		"M": m, "Color": template.CSS(color(m)), "Title": title(m), "Test": m.Event == alert.EventTest, //nolint:gosec // one of our own colours
		"Pairs": pairs(m), "Lines": lines, "Footer": footer(m),
	})
	if err != nil {
		return "", fmt.Errorf("fill the page: %w", err)
	}
	return out.String(), nil
}
