package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// A Consumer delivers what a channel's queue holds: the body of a sender function.
type Consumer struct {
	Sentinel *sentinel.Sentinel
	Queue    *Queue
	Channel  string
	// DeadLetters is the URL of the channel's dead-letter queue.
	DeadLetters string
	// Reserve is how long before its end the invocation begins nothing any more; zero
	// means 5 s.
	Reserve time.Duration
	Log     *Log
	Metrics *Metrics
}

// A letter is a received message, read.
type letter struct {
	events.SQSMessage
	ref sentinel.Ref
}

// Handle takes one batch. Messages that are not done are in the answer, and come again:
// each at the time when it is worth looking at. A delivery that was interrupted before, and
// so may end this process too, is handled alone, after the others.
func (c *Consumer) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	c.Log.Begin(ctx)
	out := &results{}
	var together, alone []letter
	for _, m := range batch.Records {
		l := letter{SQSMessage: m}
		if err := json.Unmarshal([]byte(m.Body), &l.ref); err != nil || l.ref.ID == "" {
			c.poison(ctx, l, out)
			continue
		}
		if c.crashed(ctx, l) {
			alone = append(alone, l)
		} else {
			together = append(together, l)
		}
	}
	var group sync.WaitGroup
	for _, l := range together {
		group.Go(func() { c.one(ctx, l, out) })
	}
	group.Wait()
	for _, l := range alone {
		c.one(ctx, l, out)
	}
	return out.answer(), nil
}

// results collects the messages that come again.
type results struct {
	mu     sync.Mutex
	failed []events.SQSBatchItemFailure
}

func (r *results) again(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, events.SQSBatchItemFailure{ItemIdentifier: id})
}

func (r *results) answer() events.SQSEventResponse {
	return events.SQSEventResponse{BatchItemFailures: r.failed}
}

// poison puts a message that is none of ours where people look: it would fail for ever.
func (c *Consumer) poison(ctx context.Context, l letter, out *results) {
	c.Log.Error("a message that is no delivery goes to the dead-letter queue", "channel", c.Channel, "message_id", l.MessageId)
	if err := c.Queue.Put(ctx, c.DeadLetters, l.Body); err != nil {
		c.Log.Error("put a message on the dead-letter queue", "channel", c.Channel, "error", err)
		out.again(l.MessageId)
	}
}

// crashed tells whether a sender may have died over the message. Only one that was received
// before can be such.
func (c *Consumer) crashed(ctx context.Context, l letter) bool {
	if received, err := strconv.Atoi(l.Attributes["ApproximateReceiveCount"]); err == nil && received < 2 {
		return false
	}
	d, err := c.Sentinel.Outbox.Delivery(ctx, l.ref.ID)
	return err == nil && (d.Crashes > 0 || d.Status == alert.Sending)
}

// one handles one message; a panic stays with it.
func (c *Consumer) one(ctx context.Context, l letter, out *results) {
	defer func() {
		if cause := recover(); cause != nil {
			c.Log.Error("a delivery ended in a panic", "delivery", l.ref.ID, "error", fmt.Sprint(cause), "stack", string(debug.Stack()))
			out.again(l.MessageId)
		}
	}()
	if c.late(ctx) {
		out.again(l.MessageId)
		c.hide(ctx, l, 0)
		return
	}
	began := time.Now()
	delivered, err := c.Sentinel.Deliver(ctx, l.ref)
	if err != nil {
		c.Log.Error("deliver", "delivery", l.ref.ID, "channel", c.Channel, "error", err)
		out.again(l.MessageId)
		return
	}
	d := delivered.Delivery
	if delivered.Tried {
		c.Metrics.Notification(d, time.Since(began))
		c.Log.Info("delivered", "alert_name", d.Alert, "run_id", d.Message.RunID, "delivery", d.ID, "channel", d.Target.Channel,
			"status", d.Status, "error", d.LastError, "duration_ms", time.Since(began).Milliseconds())
	}
	switch {
	case d.Status == alert.Dead && d.Try == l.ref.Try:
		c.bury(ctx, l, d, out)
	case !d.Status.Settled() && d.Try == l.ref.Try && d.ID != "":
		out.again(l.MessageId)
		c.hide(ctx, l, wait(d, c.Sentinel.Now()))
	}
}

// late tells whether too little time is left to begin anything.
func (c *Consumer) late(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	reserve := c.Reserve
	if reserve == 0 {
		reserve = 5 * time.Second
	}
	return ok && time.Until(end) < reserve
}

// wait is how long nothing can be done about a delivery.
func wait(d alert.Delivery, now time.Time) time.Duration {
	at := d.DueAt
	if d.Status == alert.Sending {
		at = d.LeaseUntil
	}
	return max(at.Sub(now), time.Second)
}

// hide puts a message back for a while. If that fails it comes after the queue's own
// visibility timeout.
func (c *Consumer) hide(ctx context.Context, l letter, d time.Duration) {
	if err := c.Queue.Hide(context.WithoutCancel(ctx), c.Queue.URLs[c.Channel], l.ReceiptHandle, d); err != nil {
		c.Log.Warn("put a message back", "delivery", l.ref.ID, "channel", c.Channel, "error", err)
	}
}

// bury puts the letter of a dead delivery on the dead-letter queue, with its next try: sent
// back to the channel's queue from there, it opens the delivery again. The message is
// acknowledged only then, so that no dead delivery is without its letter.
func (c *Consumer) bury(ctx context.Context, l letter, d alert.Delivery, out *results) {
	c.Log.Error("a delivery is dead", "delivery", d.ID, "alert_name", d.Alert, "channel", c.Channel, "error", d.LastError)
	body, err := encode("a dead letter", sentinel.Ref{ID: d.ID, Try: d.Try + 1})
	if err == nil {
		err = c.Queue.Put(context.WithoutCancel(ctx), c.DeadLetters, string(body))
	}
	if err != nil {
		c.Log.Error("put a dead letter on its queue", "delivery", d.ID, "error", err)
		out.again(l.MessageId)
	}
}
