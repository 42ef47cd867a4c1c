package cloud

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// The table has a partition key `pk` and a sort key `sk`, both strings. What it holds:
//
//	pk                         sk                                   item
//	definitions#shop#3         Daily revenue                        a definition
//	states#shop#3              Daily revenue                        the head of a state, with the record of the last run
//	bodies#shop#3              Daily revenue                        what of a state does not fit the head, instances first
//	runs#shop#Daily revenue    2026-11-23T09:00:00.000Z#run_4f…     the record of an earlier run
//	run_4f…                    run                                  where the record of a run with messages stands
//	dlv_9a…                    delivery                             a delivery
//	subjects#shop              database warehouse                   the outage of a database and how many alerts share it
//	subjects#shop              target oncall                        the outage of a target and its last success
//	counts#shop                Daily revenue                        counters of an alert's deliveries
//	sync#shop                  state                                which config stands, and who is syncing
//
// Two sparse indexes: `open` finds deliveries that are not settled, or dead, by the time
// at which someone must look at them; `listing` finds deliveries and runs with messages by
// time. docs/data-model.md shows an example of each item.
const (
	openIndex    = "open"
	listingIndex = "listing"
)

// shards is over how many partitions the definitions, the states, and the entries of an
// index are spread: one partition takes 1,000 writes a second.
const shards = 8

type key struct{ pk, sk string }

func (k key) item() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": text(k.pk), "sk": text(k.sk)}
}

// part is a scope or the like inside a key: no # of its own, so that keys are unambiguous.
var part = strings.NewReplacer("%", "%25", "#", "%23")

// short is a name as a sort key, which has at most 1,024 bytes.
func short(name string) string {
	if len(name) <= 800 {
		return name
	}
	return strings.ToValidUTF8(name[:700], "") + "…" + alert.Digest(name)
}

func shard(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % shards)
}

func sharded(kind, scope string, n int) string {
	return kind + "#" + part.Replace(scope) + "#" + strconv.Itoa(n)
}

func definitionKey(id alert.ID) key {
	return key{sharded("definitions", id.Scope, shard(id.Name)), short(id.Name)}
}

func headKey(id alert.ID) key {
	return key{sharded("states", id.Scope, shard(id.Name)), short(id.Name)}
}

func bodyKey(id alert.ID) key {
	return key{sharded("bodies", id.Scope, shard(id.Name)), short(id.Name)}
}

func runsOf(id alert.ID) string { return "runs#" + part.Replace(id.Scope) + "#" + short(id.Name) }

func runKey(r runRef) key { return key{runsOf(r.alert), stamp(r.scheduled) + "#" + r.run} }

func pointerKey(run string) key { return key{run, "run"} }

func deliveryKey(id string) key { return key{id, "delivery"} }

func subjectsOf(scope string) string { return "subjects#" + part.Replace(scope) }

func subjectKey(scope, subject string) key { return key{subjectsOf(scope), short(subject)} }

func countsOf(scope string) string { return "counts#" + part.Replace(scope) }

func countKey(id alert.ID) key { return key{countsOf(id.Scope), short(id.Name)} }

// A runRef says where the record of a run stands.
type runRef struct {
	alert     alert.ID
	run       string
	scheduled time.Time
}

func refOf(r *alert.Record) runRef {
	return runRef{alert.ID{Scope: r.Scope, Name: r.Alert}, r.RunID, r.Scheduled}
}

// stamp is a time that sorts as text.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func text(s string) *types.AttributeValueMemberS { return &types.AttributeValueMemberS{Value: s} }

func number[T int | int64](n T) *types.AttributeValueMemberN {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

// millis is a time as a number.
func millis(t time.Time) *types.AttributeValueMemberN { return number(t.UnixMilli()) }

func truth(b bool) *types.AttributeValueMemberBOOL { return &types.AttributeValueMemberBOOL{Value: b} }

func readText(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func readNumber(v types.AttributeValue) int64 {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		out, _ := strconv.ParseInt(n.Value, 10, 64) // we wrote it
		return out
	}
	return 0
}

func readTruth(v types.AttributeValue) bool {
	b, ok := v.(*types.AttributeValueMemberBOOL)
	return ok && b.Value
}

// readTime is the zero time where there is no number.
func readTime(v types.AttributeValue) time.Time {
	if _, ok := v.(*types.AttributeValueMemberN); !ok {
		return time.Time{}
	}
	return time.UnixMilli(readNumber(v)).UTC()
}

type item = map[string]types.AttributeValue
