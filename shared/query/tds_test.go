package query_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// tdsServer speaks as much of TDS, the protocol of SQL Server, as reading a query takes: the
// login, batches, sp_executesql and the attention that stops them.
type tdsServer struct {
	answers map[string]tdsAnswer // by a part of the query
	mu      sync.Mutex
	seen    []tdsRequest
}

// tdsAnswer is what a query is answered with, in tokens. Without an end the server waits for
// an attention.
type tdsAnswer struct {
	tokens []byte
	end    bool
	deaf   bool // an attention is not answered either
}

// tdsRequest is what a client sent.
type tdsRequest struct {
	kind        string // login, batch, execute, attention
	text        string // of a query, or the user, application and database of a login
	declared    string // parameters
	arguments   []byte
	transaction uint64
	reset       bool
}

const tdsPassword = "c4n4ry/p@ss" //nolint:gosec // of a server of the tests

// saw are the requests of one kind.
func (s *tdsServer) saw(kind string) (out []tdsRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.kind == kind {
			out = append(out, r)
		}
	}
	return out
}

func (s *tdsServer) start(t *testing.T) (address string) {
	t.Helper()
	return talker(t, s.talk)
}

// talk serves one connection.
func (s *tdsServer) talk(conn net.Conn) {
	for waiting := (*tdsAnswer)(nil); ; {
		kind, reset, body, err := readTDS(conn)
		if err != nil {
			return
		}
		request := readRequest(kind, body)
		request.reset = reset
		s.mu.Lock()
		s.seen = append(s.seen, request)
		s.mu.Unlock()
		switch request.kind {
		case "prelogin":
			err = writeTDS(conn, []byte{1, 0, 6, 0, 1, 0xff, 2}, true) // encryption is not supported
		case "attention":
			if waiting == nil || !waiting.deaf {
				err = writeTDS(conn, tdsDone(0x20, 0), true)
			}
			waiting = nil
		default:
			answer := s.answer(request)
			if !answer.end {
				waiting = &answer
			}
			if len(answer.tokens) > 0 {
				err = writeTDS(conn, answer.tokens, answer.end)
			}
		}
		if err != nil {
			return
		}
	}
}

// answer is what a request is answered with.
func (s *tdsServer) answer(r tdsRequest) tdsAnswer {
	const transaction = "\x08\x07\x06\x05\x04\x03\x02\x01"
	switch {
	case r.kind == "login" && !strings.Contains(r.text, "password="+tdsPassword+" "):
		return tdsAnswer{tokens: join(tdsError(18456, 14, "Login failed for user '"+strings.Fields(r.text)[0]+"'.", 1), tdsDone(2, 0)), end: true}
	case r.kind == "login" && !strings.Contains(r.text, "database=shop "):
		return tdsAnswer{tokens: join(tdsError(4060, 11, "Cannot open database requested by the login. The login failed.", 1), tdsDone(2, 0)), end: true}
	case r.kind == "login":
		ack := join([]byte{1, 0x74, 0, 0, 4}, short("Microsoft SQL Server"), []byte{16, 0, 0, 1})
		return tdsAnswer{tokens: join(token(0xAD, ack), tdsDone(0, 0)), end: true}
	case strings.Contains(r.text, "BEGIN TRANSACTION"):
		return tdsAnswer{tokens: join(token(0xE3, join([]byte{8, 8}, []byte(transaction), []byte{0})), tdsDone(0, 0)), end: true}
	case strings.Contains(r.text, "ROLLBACK TRANSACTION"):
		return tdsAnswer{tokens: join(token(0xE3, join([]byte{10, 0, 8}, []byte(transaction))), tdsDone(0, 0)), end: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for part, a := range s.answers {
		if strings.Contains(r.text, part) {
			return a
		}
	}
	return result(row(nvarchar("status", "OK")))
}

// readTDS reads one message.
func readTDS(r io.Reader) (kind byte, reset bool, body []byte, err error) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(r, head); err != nil {
			return 0, false, nil, err
		}
		part := make([]byte, max(int(binary.BigEndian.Uint16(head[2:])), 8)-8)
		if _, err := io.ReadFull(r, part); err != nil {
			return 0, false, nil, err
		}
		body, reset = append(body, part...), reset || head[1]&8 != 0
		if head[1]&1 != 0 {
			return head[0], reset, body, nil
		}
	}
}

// writeTDS writes a message, or the beginning of one, in packets.
func writeTDS(w io.Writer, body []byte, end bool) error {
	parts := slices.Collect(slices.Chunk(body, 4000))
	for i, part := range parts {
		head := []byte{4, 0, 0, 0, 0, 0, byte(i + 1), 0}
		if end && i == len(parts)-1 {
			head[1] = 1
		}
		binary.BigEndian.PutUint16(head[2:], uint16(len(part)+8)) //nolint:gosec // at most 4008
		if _, err := w.Write(append(head, part...)); err != nil {
			return err
		}
	}
	return nil
}

// readRequest understands a message.
func readRequest(kind byte, body []byte) tdsRequest {
	le := binary.LittleEndian
	r := tdsRequest{kind: map[byte]string{1: "batch", 3: "execute", 6: "attention", 16: "login", 18: "prelogin"}[kind]}
	switch r.kind {
	case "login":
		field := func(at int) []byte {
			from, n := int(le.Uint16(body[at:])), int(le.Uint16(body[at+2:]))
			return body[from : from+2*n]
		}
		password := bytes.Clone(field(44))
		for i, b := range password {
			b ^= 0xA5
			password[i] = b<<4 | b>>4
		}
		intent := map[bool]string{true: "read-only", false: "read-write"}[body[26]&0x20 != 0]
		r.text = wide(field(40)) + " password=" + wide(password) + " application=" + wide(field(48)) + " database=" + wide(field(68)) + " " + intent
	case "batch", "execute":
		headers := int(le.Uint32(body))
		r.transaction = le.Uint64(body[10:])
		if body = body[headers:]; r.kind == "batch" {
			r.text = wide(body)
			return r
		}
		if le.Uint16(body) != 0xffff || le.Uint16(body[2:]) != 10 {
			r.text = "not sp_executesql"
			return r
		}
		body = body[6:]
		r.text, body = parameterText(body)
		r.declared, r.arguments = parameterText(body)
	}
	return r
}

// parameterText reads a parameter of type NVARCHAR without a name.
func parameterText(body []byte) (text string, rest []byte) {
	n := int(binary.LittleEndian.Uint16(body[10:])) // behind the name, the flags, the type, its size and a collation
	return wide(body[12 : 12+n]), body[12+n:]
}

func wide(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// number is an integer in so many bytes.
func number(size int, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, n)[:size]
}

// narrow is a text in UTF-16.
func narrow(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

// short is a text with its length in one byte, as names have it.
func short(text string) []byte {
	units := narrow(text)
	return join(number(1, uint64(len(units)/2)), units)
}

// token is a token with its length.
func token(kind byte, body []byte) []byte {
	return join([]byte{kind}, number(2, uint64(len(body))), body)
}

func tdsDone(status, rows uint64) []byte {
	return join([]byte{0xFD}, number(2, status), number(2, 0xC1), number(8, rows))
}

func tdsError(code uint64, class byte, message string, line uint64) []byte {
	text := narrow(message)
	return token(0xAA, join(number(4, code), []byte{1, class}, number(2, uint64(len(text)/2)), text, short("sql1"), short(""), number(4, line)))
}

// A tdsCell is a column with its type and its value in a row.
type tdsCell struct {
	name       string
	info, data []byte
}

func nvarchar(name, text string) tdsCell {
	value := narrow(text)
	return tdsCell{name, join([]byte{0xE7}, number(2, 8000), make([]byte, 5)), join(number(2, uint64(len(value))), value)}
}

// row describes the columns of a result and gives its first row.
func row(cells ...tdsCell) []byte {
	out := join([]byte{0x81}, number(2, uint64(len(cells))))
	for _, c := range cells {
		out = join(out, number(4, 0), number(2, 1), c.info, short(c.name))
	}
	return join(out, again(cells...))
}

// again is one more row.
func again(cells ...tdsCell) []byte {
	out := []byte{0xD1}
	for _, c := range cells {
		out = append(out, c.data...)
	}
	return out
}

// result is a whole answer.
func result(tokens ...[]byte) tdsAnswer {
	return tdsAnswer{tokens: join(append(tokens, tdsDone(0x10, 1))...), end: true}
}

// refusal is an error as an answer.
func refusal(code uint64, class byte, message string, line uint64) tdsAnswer {
	return tdsAnswer{tokens: join(tdsError(code, class, message, line), tdsDone(2, 0)), end: true}
}

// sqlServer is a database of a server with answers.
func sqlServer(t *testing.T, answers map[string]tdsAnswer) (*tdsServer, *world) {
	t.Helper()
	s := &tdsServer{answers: answers}
	return s, &world{url: "mssql://sentinel:" + strings.ReplaceAll(strings.ReplaceAll(tdsPassword, "/", "%2F"), "@", "%40") + "@" + s.start(t) + "/shop?encrypt=disable"}
}

func TestTheTDSOfTheTestsReadsWhatItWrites(t *testing.T) {
	var wire bytes.Buffer
	long := bytes.Repeat([]byte("x"), 10_000)
	require.NoError(t, writeTDS(&wire, long, true))
	kind, reset, body, err := readTDS(&wire)
	require.NoError(t, err)
	require.Equal(t, long, body)
	require.Equal(t, byte(4), kind)
	require.False(t, reset)
	_, _, _, err = readTDS(&wire)
	require.True(t, errors.Is(err, io.EOF))
	require.Equal(t, "é𝄞", wide(narrow("é𝄞")))
}
