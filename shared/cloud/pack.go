package cloud

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// plainSize is up to which size JSON is stored as text, to be read in the console. What
// is larger is compressed: DynamoDB bills by the KB and takes 400 of them.
const plainSize = 4 << 10

// unpackedSize bounds what is unpacked.
const unpackedSize = 64 << 20

func encode(what string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", what, err)
	}
	return body, nil
}

// pack makes an attribute of JSON.
func pack(body []byte) types.AttributeValue {
	if len(body) <= plainSize {
		return text(string(body))
	}
	return &types.AttributeValueMemberB{Value: squeeze(body)}
}

func squeeze(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}

// unpack reads what pack wrote.
func unpack(what string, v types.AttributeValue, into any) error {
	var body []byte
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		body = []byte(v.Value)
	case *types.AttributeValueMemberB:
		r, err := gzip.NewReader(bytes.NewReader(v.Value))
		if err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
		if body, err = io.ReadAll(io.LimitReader(r, unpackedSize)); err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
	default:
		return fmt.Errorf("read %s: the item has no content", what)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// packedSize is what an attribute of pack weighs.
func packedSize(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	}
	return 0
}
