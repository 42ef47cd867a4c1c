package cloud

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

const (
	// headSize keeps the head of a state within 4 KB, the unit that a read is billed by;
	// the rest of it is keys and numbers.
	headSize = 3400
	// bodySize is what of a state DynamoDB is trusted with: an item has 400 KB.
	bodySize = 300 << 10
)

// An encodedState is a state in the form of its two items.
type encodedState struct {
	head []byte
	body []byte // empty: all of the state is in the head
	hash string // of the body
}

// encodeState moves the largest fields of a state, its instances as a rule, to the body
// until the head is small. A steady run changes no instance, and writes no body.
func encodeState(s alert.State) (encodedState, error) {
	var out encodedState
	body, err := encode("a state", s)
	if err != nil {
		return out, err
	}
	if len(body) <= headSize {
		out.head = body
		return out, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return out, fmt.Errorf("write a state: %w", err)
	}
	rest, size := map[string]json.RawMessage{}, len(body)
	for size > headSize {
		name := largest(fields)
		rest[name] = fields[name]
		size -= len(fields[name]) + len(name) + 4
		delete(fields, name)
	}
	if out.head, err = encode("a state", fields); err != nil {
		return out, err
	}
	if out.body, err = encode("a state", rest); err != nil {
		return out, err
	}
	out.hash = alert.Digest(string(out.body))
	return out, nil
}

func largest(fields map[string]json.RawMessage) string {
	var name string
	for n, body := range fields {
		if name == "" || len(body) > len(fields[name]) || len(body) == len(fields[name]) && n < name {
			name = n
		}
	}
	return name
}

// headItem is the head as it is stored.
func headItem(id alert.ID, s alert.State, e encodedState, token string) item {
	out := headKey(id).item()
	out["alert"], out["version"], out["token"], out["state"] = text(id.Name), number(s.Version), text(token), pack(e.head)
	if e.hash != "" {
		out["body"] = text(e.hash)
	}
	return out
}

// bodyItem is the body as it is stored. The state is too large if it is.
func bodyItem(id alert.ID, e encodedState) (item, error) {
	out := bodyKey(id).item()
	data := pack(e.body)
	if n := packedSize(data); n > bodySize {
		return nil, fmt.Errorf("the state of %q has %d KB, compressed; %d are kept: %w", id.Name, n>>10, bodySize>>10, sentinel.ErrTooLarge)
	}
	out["alert"], out["hash"], out["state"] = text(id.Name), text(e.hash), data
	return out, nil
}

// decodeState reads a state from its items. It reports false if they do not belong
// together: one was read before a commit, the other after it.
func decodeState(head, body item) (alert.State, bool, error) {
	var s alert.State
	if head == nil {
		return s, true, nil
	}
	if err := unpack("a state", head["state"], &s); err != nil {
		return s, false, err
	}
	hash := readText(head["body"])
	if hash == "" {
		return s, true, nil
	}
	if body == nil || readText(body["hash"]) != hash {
		return s, false, nil
	}
	return s, true, unpack("a state", body["state"], &s)
}

// known is what the last Load or Commit of an alert learnt, and the next Commit needs: the
// record of the last run, which goes into history before it is replaced.
type known struct {
	version int64
	hash    string // of the body
	last    *runRef
	row     types.AttributeValue // the record
	refs    []alert.DeliveryRef
}

func knownOf(s alert.State, hash string) (known, error) {
	out := known{version: s.Version, hash: hash}
	if s.Last == nil {
		return out, nil
	}
	body, err := encode("a record", s.Last)
	if err != nil {
		return out, err
	}
	ref := refOf(s.Last)
	out.last, out.row, out.refs = &ref, pack(body), s.Last.Deliveries
	return out, nil
}
