package query

import (
	"regexp"
)

// errSticky makes the caller discard a connection although the query succeeded.
var errSticky = sticking{}

type sticking struct{}

func (sticking) Error() string { return "the session may keep something of the query" }

// stickyWords are what outlives a rollback: locks and settings of the session. Seeing one
// is no refusal, for a text may hold it harmlessly: the connection is just not used again.
var stickyWords = regexp.MustCompile(`(?i)set_config|advisory|dblink|get_lock|\bset\b|\bprepare\b|\bload\b|@`) //nolint:gochecknoglobals // compiled once

func sticky(text string) bool { return stickyWords.MatchString(text) }
