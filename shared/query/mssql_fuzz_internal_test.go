package query

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tsql is how Transact-SQL reads a text, told by an expression rather than by a scanner: what
// is quoted ends at its mark, which is doubled inside of it, or at the end of the text. A
// comment in /* … */ holds others, which no expression can tell: they are taken out before.
// Source: https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers
var tsql = regexp.MustCompile(`(?s)--[^\n]*|'(?:[^']|'')*(?:'|\z)|"(?:[^"]|"")*(?:"|\z)|\[(?:[^\]]|\]\])*(?:\]|\z)|[A-Za-z_@#$][A-Za-z0-9_@#$]*|[0-9]+|\S`)

// outer are the tokens of a text without comments and quoted things.
func outer(text string) []string {
	var out []string
	for len(text) > 0 {
		at := tsql.FindStringIndex(text)
		if at == nil {
			return out
		}
		if text[at[0]] == '/' && strings.HasPrefix(text[at[0]:], "/*") {
			text = text[at[0]+nested(text[at[0]:]):]
			continue
		}
		if token := text[at[0]:at[1]]; !strings.HasPrefix(token, "--") && strings.IndexByte(`'"[`, token[0]) < 0 {
			out = append(out, strings.ToUpper(token))
		} else if !strings.HasPrefix(token, "--") {
			out = append(out, "quoted")
		}
		text = text[at[1]:]
	}
	return out
}

// nested is the length of a comment that may hold comments.
func nested(text string) int {
	depth := 0
	for _, at := range regexp.MustCompile(`/\*|\*/`).FindAllStringIndex(text, -1) {
		if text[at[0]] == '/' {
			depth++
		} else if depth--; depth == 0 {
			return at[1]
		}
	}
	return len(text)
}

func FuzzSQLServerReadsOnly(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1", "WITH a AS (SELECT 1 AS x) SELECT x FROM a;", "SELECT 1; DELETE FROM t", "SELECT 'a''; DROP TABLE t' FROM t", "SELECT [a]]; DROP] FROM t",
		"SELECT \"a\"\"b\" FROM t", "SELECT 1 /* /* */ DELETE t */", "SELECT 1 /* */ */ DELETE t", "SELECT 1--\nDELETE t", "SELECT 1DELETE t", "SELECT a INTO b FROM c",
		"SELECT 1 WHERE 1=1EXEC p", "SELECT '/*' DELETE t --*/", "SELECT 1 OPTION (MERGE JOIN)", "select[a]delete[t]", "SELECT#0", ";WITH a AS (SELECT 1 AS x) SELECT x FROM a", "(SELECT 1)", "SELECT 1 FROM t OPTION (USE HINT ('x'))", "SELECT /",
	} {
		f.Add(seed)
	}
	g := (*mssqlDialect)(nil).grammar()
	allowed := []string{"MERGE JOIN", "MERGE UNION", "USE HINT", "USE PLAN"}
	f.Fuzz(func(t *testing.T, text string) {
		if onlyReads(g, text) != nil {
			return
		}
		tokens := outer(text)
		for tokens[0] == "(" || tokens[0] == ";" {
			tokens = tokens[1:]
		}
		require.Contains(t, []string{"SELECT", "WITH"}, tokens[0])
		for i, token := range tokens {
			next := ""
			if i+1 < len(tokens) {
				next = tokens[i+1]
			}
			if slices.Contains(mssqlWords, token) {
				require.Contains(t, allowed, token+" "+next, "%q", tokens)
			}
			if token == ";" {
				require.Contains(t, []string{"", ";"}, next, "%q", tokens)
			}
		}
	})
}
