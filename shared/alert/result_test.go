package alert_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

func row(values ...any) []alert.Value {
	var out []alert.Value
	for _, v := range values {
		switch x := v.(type) {
		case nil:
			out = append(out, alert.NullValue())
		case int:
			out = append(out, alert.IntValue(int64(x)))
		case string:
			out = append(out, alert.TextValue(x))
		case []byte:
			out = append(out, alert.BytesValue(x))
		}
	}
	return out
}

func TestAResultKeepsTheContract(t *testing.T) {
	got := alert.Read(alert.Table{
		Columns: []string{"Region", "STATUS", "note", "Actual_Value", "threshold", "note"},
		Rows:    [][]alert.Value{row("EU", " alert ", "a", 5, 10, "b"), row(nil, "OK", nil, nil, 10, nil)},
		Notes:   []string{"cut"},
	}, []string{"region"})
	require.Nil(t, got.Failure)
	require.Equal(t, []string{"cut"}, got.Notes)
	require.Len(t, got.Rows, 2)
	require.Equal(t, alert.StatusAlert, got.Rows[0].Status)
	require.Equal(t, "region=EU", got.Rows[0].Instance.String())
	require.Equal(t, "note=a, note_2=b", got.Rows[0].Context.String())
	require.Equal(t, "5", got.Rows[0].Actual.String())
	require.Equal(t, "10", got.Rows[0].Threshold.String())
	require.False(t, got.Rows[0].NoData)
	require.Equal(t, "region=NULL", got.Rows[1].Instance.String())
	require.True(t, got.Rows[1].NoData, "OK beside a selected actual_value that is NULL")
	require.NotEqual(t, alert.InstanceID(got.Rows[1].Instance), alert.InstanceID(alert.Fields{{Name: "region", Value: alert.TextValue("NULL")}}))
	require.Equal(t, 2, len(got.Table.Rows))

	require.False(t, alert.Read(alert.Table{Columns: []string{"status"}, Rows: [][]alert.Value{row("ok")}}, nil).Rows[0].NoData,
		"no actual_value was selected")
	require.False(t, alert.Read(alert.Table{Columns: []string{"status", "actual_value"}, Rows: [][]alert.Value{row("ALERT", nil)}}, nil).Rows[0].NoData)
	require.True(t, alert.Read(alert.Table{Columns: []string{"status"}}, nil).Empty)
}

func TestAResultThatBreaksTheContractNamesTheRuleAndWhatCame(t *testing.T) {
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("c%d", i)
	}
	for _, c := range []struct {
		columns []string
		rows    [][]alert.Value
		key     []string
		code    alert.Code
		says    string
	}{
		{[]string{"state", "n"}, [][]alert.Value{row("OK", 1)}, nil, alert.ErrorNoStatus, "state, n"},
		{nil, nil, nil, alert.ErrorNoStatus, "no columns"},
		{many, nil, nil, alert.ErrorNoStatus, "and 10 more"},
		{[]string{"status"}, [][]alert.Value{row(nil)}, nil, alert.ErrorBadStatus, "NULL"},
		{[]string{"status"}, [][]alert.Value{row(3)}, nil, alert.ErrorBadStatus, `"3"`},
		{[]string{"status"}, [][]alert.Value{row([]byte("ALERT"))}, nil, alert.ErrorBadStatus, `\\x41`},
		{[]string{"status"}, [][]alert.Value{row("FINE" + fmt.Sprint(many))}, nil, alert.ErrorBadStatus, "…"},
		{[]string{"status"}, [][]alert.Value{row("OK"), row("OK")}, nil, alert.ErrorRows, "key:"},
		{[]string{"status", "region"}, [][]alert.Value{row("OK", "EU"), row("OK", "US"), row("OK", "EU")}, []string{"region"}, alert.ErrorDuplicateKey, "rows 1 and 3"},
		{[]string{"status", "regon"}, [][]alert.Value{row("OK", "EU")}, []string{"region"}, alert.ErrorNoKey, "status, regon"},
	} {
		got := alert.Read(alert.Table{Columns: c.columns, Rows: c.rows}, c.key)
		require.NotNil(t, got.Failure, c.code)
		require.Equal(t, c.code, got.Failure.Code)
		require.Contains(t, got.Failure.Message, c.says)
		require.False(t, got.Failure.Unreachable)
		require.NotNil(t, got.Table, "a dry run shows what came")
	}
	require.True(t, alert.Unreachable("nobody listens on %s", "db").Failure.Unreachable)
}
