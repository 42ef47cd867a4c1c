package sentineltest

import (
	"fmt"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// describe is how a story writes a message: event→target, with a key the instances.
func describe(d alert.Delivery) string {
	text := string(d.Message.Event) + "→" + d.Target.ID
	if d.Message.Status == alert.StatusClosed {
		text += ":closed"
	}
	if d.Alert != "revenue" && d.Alert != "other" {
		text += ":" + strings.Fields(d.Alert)[0]
	}
	var instances []string
	for _, i := range d.Message.Instances {
		instances = append(instances, i.Instance[0].Value.String()+"-"+i.Change)
	}
	if len(instances) > 3 {
		instances = append(instances[:2], fmt.Sprintf("+%d", len(instances)-2))
	}
	if len(d.Message.Instance) > 0 {
		instances = append(instances, d.Message.Instance[0].Value.String())
	}
	if len(instances) > 0 {
		text += "(" + strings.Join(instances, ",") + ")"
	}
	return text
}
