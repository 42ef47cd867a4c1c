package estimate

import "math"

// A Run is what AWS counts of one run of an alert, or of one message. Tests hold it against
// what the functions do.
type Run struct {
	// Calls are the operations in their order.
	Calls []string
	// Reads and Writes are DynamoDB's request units.
	Reads, Writes float64
	// Queues are the requests to SQS.
	Queues float64
}

const (
	// headKB is the head of a state: it fits two write units as a rule.
	headKB = 2
	// recordKB is a record of history, pointerKB what leads to one.
	recordKB, pointerKB = 1, 1
	// messageKB is a delivery.
	messageKB = 2
	// transactional is how many times the units of a write a transaction takes.
	transactional = 2
	// readKB is what one read unit reads.
	readKB = 4
)

// Steady is a run that announces nothing. A definition of more than 4 KB takes more reads.
func Steady(definitionBytes int) Run {
	return Run{Calls: []string{"BatchGetItem", "PutItem", "PutItem"}, Reads: reads(definitionBytes), Writes: recordKB + headKB}
}

// reads are the units of the four keys that a run reads; one that holds nothing costs one.
func reads(definitionBytes int) float64 {
	return 3 + max(1, math.Ceil(float64(definitionBytes)/(readKB<<10)))
}

// Announcing is a run that decides on messages, to targets of so many channels. Each
// message stands in two indexes, the run's id in one; an entry of an index is one unit.
func Announcing(definitionBytes, messages, channels int) Run {
	out := Run{Calls: []string{"BatchGetItem", "TransactWriteItems"}, Reads: reads(definitionBytes), Queues: float64(channels)}
	out.Writes = transactional*float64(recordKB+headKB+pointerKB+messages*messageKB) + float64(1+2*messages)
	for range channels {
		out.Calls = append(out.Calls, "SendMessageBatch")
	}
	return out
}

// Delivering is one message that its target takes at the first attempt: it is read, claimed,
// read with what stands before it, settled, and counted for its target and its alert. SQS
// hands it out and takes it back.
func Delivering() Run {
	return Run{
		Calls:  []string{"BatchGetItem", "UpdateItem", "BatchGetItem", "UpdateItem", "UpdateItem", "UpdateItem"},
		Reads:  3,
		Writes: messageKB + 3 + messageKB + 2 + 1 + 1, // with their entries in the indexes
		Queues: 2,
	}
}

const (
	// TickCalls are those of sync to DynamoDB each minute; tickReads the units of those that
	// find nothing.
	TickCalls, tickReads = 42, 30
	// fullReads are the units of the queries with which sync compares everything.
	fullReads = 24
)

// Tick is what sync does each minute: it reads every definition and every state, of so many
// bytes together.
func Tick(bytes float64) Run { return Run{Reads: tickReads + bytes/(readKB<<10)} }

// Full is what it does besides, each 15 minutes: it reads the definitions three times.
func Full(definitionBytes float64) Run { return Run{Reads: fullReads + 3*definitionBytes/(readKB<<10)} }
