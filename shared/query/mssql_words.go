package query

import (
	"slices"
	"strings"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// mssqlWords are reserved words that stand in no SELECT: each begins another statement,
// makes the SELECT write, or reaches another server. A name that is one of them is written
// in brackets or quotes. The words of the Service Broker are not reserved and stand behind a
// semicolon only, and behind a semicolon nothing may stand.
var mssqlWords = strings.Fields(`ADD ALTER BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE COMMIT CONTINUE CREATE DBCC DEALLOCATE DECLARE
	DELETE DENY DISK DROP DUMP EXEC EXECUTE GOTO GRANT IF INSERT INTO KILL LOAD MERGE OPEN OPENDATASOURCE OPENQUERY OPENROWSET
	PRINT RAISERROR READTEXT RECONFIGURE RESTORE RETURN REVERT REVOKE ROLLBACK SAVE SET SETUSER SHUTDOWN TRAN TRANSACTION TRUNCATE
	UPDATE UPDATETEXT USE WAITFOR WHILE WRITETEXT`) //nolint:gochecknoglobals // a constant list

// onlyReads refuses a text that is more than one SELECT, by its words outside of strings,
// quoted names and comments. It errs on the side of refusing.
func onlyReads(g grammar, text string) error {
	first := strings.ToUpper(firstWord(g, text))
	if longer := mssqlWord(text[begins(g, text):]); len(longer) > len(first) {
		first = strings.ToUpper(longer) // SELECT#1 is a procedure's name
	}
	switch {
	case first == "":
		return guarded(alert.ErrorQuery, "the query is empty")
	case first != "SELECT" && first != "WITH":
		return guarded(alert.ErrorReadOnly, "the query begins with %s and is no SELECT, and an alert only reads; it was not run", first)
	}
	before, begun, ended := "", false, false
	for i := 0; i < len(text); {
		n, comment := g.skip(text, i), false
		if n > 0 {
			comment = text[i] == '-' || text[i] == '/'
			if text[i] == '-' && strings.ContainsAny(strings.TrimRight(text[i:i+n], "\r\n"), "\r\v\f\u0085\u2028\u2029") {
				return guarded(alert.ErrorQuery, "a comment of the query (%s) holds a line end that servers read differently; end lines with a line feed", position(text, i))
			}
		}
		whole := mssqlWord(text[i:])
		switch {
		case comment, strings.IndexByte(" \t\r\n", text[i]) >= 0:
			i += max(n, 1)
			continue
		case text[i] == ';':
			ended = begun
			i++
			continue
		case text[i] == '`':
			return guarded(alert.ErrorQuery, "the query holds a backtick (%s); SQL Server quotes names [so] or \"so\"", position(text, i))
		case ended:
			return guarded(alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT (%s)", position(text, i))
		}
		begun = true
		if bad := mssqlRefused(before, whole, text[i+len(whole):]); bad != "" {
			return guarded(alert.ErrorReadOnly, "the query holds %s (%s), which stands in no SELECT, and an alert only reads; it was not run. If it is a name, write [%s]", bad, position(text, i), bad)
		}
		if whole != "" {
			before = strings.ToUpper(whole)
		}
		i += max(n, len(whole), 1)
	}
	return nil
}

// mssqlWord is the run of characters of a word at the beginning of a text. Only ASCII
// counts, so that no other character can hide where a word begins or ends.
func mssqlWord(text string) string {
	n := 0
	for n < len(text) && text[n] < 0x80 && (letter(text[n]) || digit(text[n]) || strings.IndexByte("@#$", text[n]) >= 0) {
		n++
	}
	return text[:n]
}

// mssqlRefused is the word that may not stand in a query; empty if there is none.
func mssqlRefused(before, whole, rest string) string {
	upper := strings.ToUpper(whole)
	if upper == "VALUE" && before == "NEXT" {
		return "NEXT VALUE" // a sequence is not rolled back
	}
	at := slices.IndexFunc(mssqlWords, func(w string) bool {
		// A number ends where a letter follows: 1DELETE is two words.
		return upper == w || upper != "" && (digit(upper[0]) || upper[0] == '$') && strings.HasSuffix(upper, w)
	})
	if at < 0 {
		return ""
	}
	switch next := strings.ToUpper(word(strings.TrimLeft(rest, " \t\r\n"))); upper + " " + next {
	case "MERGE JOIN", "MERGE UNION", "USE HINT", "USE PLAN":
		return "" // hints
	}
	return mssqlWords[at]
}
