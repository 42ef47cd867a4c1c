package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// database is what the queries of all alerts see. It changes with each look, and more
// often stays as it is.
type database struct {
	firing map[string]bool // by alert and row
	down   time.Time       // until when it cannot be reached
	says   alert.Status    // what every row says once the dust settles
}

// rows are those of an alert with a key.
const rows = 3

// answer is the result of a query.
func (w *world) answer(a alert.Alert) alert.Result {
	db := w.database
	if db.says == "" {
		if w.now.Before(db.down) {
			return alert.Unreachable("nobody listens")
		}
		switch n := w.random.IntN(100); {
		case n < 3:
			db.down = w.now.Add(w.between(time.Minute, 25*time.Minute))
			return alert.Unreachable("nobody listens")
		case n < 11:
			return alert.Fail(alert.ErrorQuery, "no such column: revenu")
		case n < 14:
			return alert.Result{Empty: true}
		}
	}
	if len(a.Key) == 0 {
		return alert.Result{Rows: []alert.Row{w.row(a, "", nil)}}
	}
	var out alert.Result
	for i := range rows {
		if db.says == "" && w.random.IntN(6) == 0 {
			continue // its row is gone
		}
		name := fmt.Sprintf("%s-%d", a.Key[0], i)
		out.Rows = append(out.Rows, w.row(a, name, alert.Fields{{Name: a.Key[0], Value: alert.TextValue(name)}}))
	}
	if len(out.Rows) == 0 {
		out.Empty = true
	}
	return out
}

func (w *world) row(a alert.Alert, name string, key alert.Fields) alert.Row {
	db, at := w.database, a.Name+"/"+name
	if w.random.IntN(100) < 35 {
		db.firing[at] = !db.firing[at]
	}
	row := alert.Row{Instance: key, Status: alert.StatusOK, Actual: alert.IntValue(w.random.Int64N(100)), Threshold: alert.IntValue(50)}
	if db.firing[at] {
		row.Status = alert.StatusAlert
	}
	if db.says != "" {
		row.Status = db.says
	}
	return row
}

// Query implements sentinel.Querier.
func (t *task) Query(_ context.Context, a alert.Alert, run alert.Run) alert.Result {
	t.queries++
	t.w.watch.asked(t, a, run)
	t.result = alert.Fail(alert.ErrorTimeout, "the query was broken off")
	err := t.call("Query "+a.Name, func() error {
		t.result = t.w.answer(a)
		t.w.tell("%s: the database says %s", t, say(t.result))
		return nil
	})
	if err != nil { // refused, or its answer was lost: a failure like any other
		t.result = alert.Fail(alert.ErrorQuery, "%v", err)
	}
	return t.result
}

func say(r alert.Result) string {
	if r.Failure != nil {
		return r.Failure.Message
	}
	text := "nothing"
	for i, row := range r.Rows {
		if i == 0 {
			text = ""
		}
		text += row.Instance.String() + " " + string(row.Status) + " "
	}
	return text
}

// A receiver takes messages, or not.
type receiver struct {
	how   error // what it answers; nil: it accepts
	until time.Time
}

// Send implements sentinel.Sender. A message can be accepted without its sender hearing
// of it.
func (t *task) Send(_ context.Context, d alert.Delivery) error {
	w, heard := t.w, true
	var answer error
	err := t.call("Send "+w.short(d.ID), func() error {
		r := w.receivers[d.Target.ID]
		if r != nil && r.how != nil && w.now.Before(r.until) {
			answer = r.how
			w.watch.refused(d, answer)
			w.tell("%s answers %v", d.Target.ID, answer)
			return nil
		}
		if heard = !w.chance(w.storm.unheard); !heard {
			answer = &alert.SendError{Message: "timeout: no answer in time"}
		}
		w.tell("%s accepts %s, heard: %v", d.Target.ID, w.short(d.ID), heard)
		w.watch.accepted(t, d, heard)
		return nil
	})
	if err != nil {
		w.watch.unheard(d)
		return &alert.SendError{Message: err.Error()}
	}
	return answer
}
