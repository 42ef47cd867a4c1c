package alert

// noData applies on_no_data: it fills d.rows, or answers with the failure that no data
// is under the policy `error`, or sets d.kept.
func (d *decider) noData() *Failure {
	if d.in.Result.Failure != nil {
		return nil
	}
	d.rows = make(map[string]Row, len(d.in.Result.Rows))
	d.keptID = map[string]bool{}
	if d.in.Result.Empty {
		return d.emptyResult()
	}
	for _, row := range d.in.Result.Rows {
		if row.NoData {
			if failure := d.nullRow(&row); failure != nil {
				return failure
			}
			if d.kept || d.keptID[InstanceID(row.Instance)] {
				continue
			}
		}
		d.addRow(row)
	}
	return nil
}

func (d *decider) addRow(row Row) {
	id := InstanceID(row.Instance)
	d.rows[id] = row
	d.ids = append(d.ids, id)
}

const emptyText = "the query returned no row"

// emptyResult is a result without any row. With a key and the policy alert, the instance
// without a name stands for what is missing.
func (d *decider) emptyResult() *Failure {
	switch d.a.OnNoData {
	case NoDataOK:
		d.reasons.add(NoDataCountsOK, emptyText+"; on_no_data: ok counts it as OK")
		if !d.keyed {
			d.addRow(Row{Status: StatusOK})
		}
	case NoDataAlert:
		d.reasons.add(NoDataAlerts, emptyText+"; on_no_data: alert counts it as ALERT")
		d.addRow(Row{Status: StatusAlert})
	case NoDataKeep:
		d.kept = true
		d.reasons.add(NoDataKept, emptyText+"; on_no_data: keep leaves everything as it was")
	default:
		return &Failure{Code: ErrorNoData, Message: emptyText + ". If that is normal, set on_no_data to ok, alert or keep"}
	}
	return nil
}

const nullText = "the query returned OK beside an actual_value that is NULL, as SUM does over no rows"

// nullRow is a row that says OK beside an actual_value of NULL.
func (d *decider) nullRow(row *Row) *Failure {
	label := row.Instance.String()
	switch d.a.OnNoData {
	case NoDataOK:
		d.reasons.addFor(NoDataCountsOK, label, nullText+"; on_no_data: ok counts it as OK")
	case NoDataAlert:
		row.Status = StatusAlert
		d.reasons.addFor(NoDataAlerts, label, nullText+"; on_no_data: alert counts it as ALERT")
	case NoDataKeep:
		d.kept = !d.keyed
		d.keptID[InstanceID(row.Instance)] = true
		d.reasons.addFor(NoDataKept, label, nullText+"; on_no_data: keep leaves everything as it was")
	default:
		if label != "" {
			label = " (" + label + ")"
		}
		return &Failure{Code: ErrorNoData, Message: nullText + label + ". If that is normal, set on_no_data to ok, alert or keep"}
	}
	return nil
}
