package query

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	bigquery "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// bigQuery reads BigQuery over its REST API, whose answers are the digits and the words of
// the service itself. A dry run comes first: the service compiles the query, tells what
// kind of statement it is and how much it would read, and nothing runs unless it is one
// SELECT that stays within max_bytes_billed. The job has an id of ours, so that it can be
// cancelled whatever happens to the answer.
type bigQuery struct {
	bigQueryURL
	maxBytes int64
	price    float64

	mu      sync.Mutex
	service *bigquery.Service
}

func openBigQuery(d alert.Database, url string, _ int) (source, error) {
	at, err := parseBigQuery(url, d.Dir)
	if err != nil {
		return nil, err
	}
	price := alert.DefaultPricePerTiB
	if d.PricePerTiB != nil {
		price = *d.PricePerTiB
	}
	return &bigQuery{bigQueryURL: at, maxBytes: d.MaxBytesBilled, price: price}, nil
}

// grammar implements source.
func (*bigQuery) grammar() grammar {
	return grammar{backslash: true, triple: true, hash: true, place: func(_ int, name string) string { return "@" + name }}
}

// connect finds the credentials, once. No token is asked for yet.
func (b *bigQuery) connect(ctx context.Context, most caps) (*bigquery.Service, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.service != nil {
		return b.service, nil
	}
	options, err := b.authenticate()
	if err != nil {
		return nil, &connectError{err}
	}
	if b.project == "" {
		return nil, &connectError{errors.New("the credentials name no project; write bigquery://PROJECT")}
	}
	base := &boundedTransport{http.DefaultTransport, 16*int64(most.bytes) + 1<<20}
	// The transport outlives the query that is the first to need it.
	transport, err := htransport.NewTransport(context.WithoutCancel(ctx), base, options...)
	if err != nil {
		return nil, &connectError{err}
	}
	service, err := bigquery.NewService(ctx, option.WithHTTPClient(&http.Client{Transport: transport}), option.WithEndpoint(b.endpoint), option.WithUserAgent("sqlsentinel"))
	if err != nil {
		return nil, &connectError{err}
	}
	b.service = service
	return service, nil
}

// boundedTransport refuses answers that are far larger than what is kept of them.
type boundedTransport struct {
	http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &boundedBody{answer.Body, t.limit}
	}
	return answer, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, errOversized
	}
	return n, err
}

// errOversized says that an answer was not read to its end.
var errOversized = oversized{}

type oversized struct{}

func (oversized) Error() string { return "the answer is far larger than the cap of a result" }

// read implements source.
func (b *bigQuery) read(ctx context.Context, s statement, most caps) (*alert.Table, error) {
	service, err := b.connect(ctx, most)
	if err != nil {
		return nil, err
	}
	job := b.job(ctx, s)
	job.Configuration.DryRun = true
	planned, err := service.Jobs.Insert(b.project, job).Context(ctx).Do()
	if err != nil {
		return nil, b.failed(err)
	}
	usage, err := b.check(planned)
	if err != nil {
		return &alert.Table{Usage: usage}, err
	}
	job = b.job(ctx, s)
	id := "sqlsentinel_" + randomID()
	job.JobReference = &bigquery.JobReference{ProjectId: b.project, JobId: id, Location: b.location}
	t, err := b.run(ctx, service, job, most)
	if t == nil {
		t = &alert.Table{}
	}
	t.Usage = usage
	switch {
	case err == nil:
		b.bill(ctx, service, job.JobReference, usage)
		return t, nil
	case ctx.Err() != nil:
		return t, ctx.Err() // the service answered before, so this is no lack of a session
	case errors.Is(err, errOversized):
		return t, tooLarge(most.bytes)
	}
	var network net.Error
	if errors.As(err, &network) || stale(err) { // in words only: a repeat of the query would be billed again
		err = &connectError{errors.New(err.Error())}
	}
	return t, b.failed(err)
}

// job is what is asked for.
func (b *bigQuery) job(ctx context.Context, s statement) *bigquery.Job {
	legacy := false
	query := &bigquery.JobConfigurationQuery{Query: s.text, UseLegacySql: &legacy, MaximumBytesBilled: b.maxBytes, Priority: b.priority, UseQueryCache: b.cache}
	if b.dataset != "" {
		query.DefaultDataset = &bigquery.DatasetReference{ProjectId: cmp.Or(b.datasetProject, b.project), DatasetId: b.dataset}
	}
	for _, a := range s.args {
		query.ParameterMode = "NAMED"
		query.QueryParameters = append(query.QueryParameters, &bigquery.QueryParameter{
			Name: a.name, ParameterType: &bigquery.QueryParameterType{Type: "TIMESTAMP"},
			ParameterValue: &bigquery.QueryParameterValue{Value: a.at.UTC().Format("2006-01-02 15:04:05.999999+00:00")},
		})
	}
	job := &bigquery.Job{
		JobReference:  &bigquery.JobReference{ProjectId: b.project, Location: b.location},
		Configuration: &bigquery.JobConfiguration{Query: query, Labels: labels(s)},
	}
	if at, ok := ctx.Deadline(); ok {
		job.Configuration.JobTimeoutMs = max(time.Until(at).Milliseconds(), 1)
	}
	return job
}

// check holds what the service says of a query against the guards.
func (b *bigQuery) check(planned *bigquery.Job) (*alert.Usage, error) {
	if planned.Statistics == nil || planned.Statistics.Query == nil {
		return nil, errors.New("the dry run says nothing of the query")
	}
	usage := &alert.Usage{BytesEstimated: planned.Statistics.TotalBytesProcessed}
	usage.Price(b.price)
	switch kind := planned.Statistics.Query.StatementType; {
	case kind == "SCRIPT":
		return usage, guarded(alert.ErrorStatements, "the query has more than one statement; an alert is one SELECT; nothing was run")
	case kind != "SELECT":
		return usage, guarded(alert.ErrorReadOnly, "the query is no SELECT but %s, and an alert only reads; it was not run", kind)
	case b.maxBytes > 0 && usage.BytesEstimated > b.maxBytes:
		return usage, guarded(alert.ErrorBytesBilled, "the query would read %s, about %s USD, and max_bytes_billed is %s; it was not run. Select fewer columns, filter by the partition, or raise max_bytes_billed",
			alert.SizeText(usage.BytesEstimated), usage.EstimatedCost, alert.SizeText(b.maxBytes))
	}
	return usage, nil
}

// run starts a job and reads its rows; a job that is given up is cancelled.
func (b *bigQuery) run(ctx context.Context, service *bigquery.Service, job *bigquery.Job, most caps) (t *alert.Table, err error) {
	defer func() {
		if err != nil {
			b.cancel(service, job.JobReference)
		}
	}()
	started, err := service.Jobs.Insert(b.project, job).Context(ctx).Do()
	if err != nil {
		return nil, err
	}
	if started.JobReference != nil {
		job.JobReference.Location = started.JobReference.Location
	}
	if started.Status != nil && started.Status.ErrorResult != nil {
		return nil, &jobError{started.Status.ErrorResult}
	}
	reader := &bigQueryReader{most: most}
	for page := ""; ; {
		call := service.Jobs.GetQueryResults(b.project, job.JobReference.JobId).Context(ctx).Location(job.JobReference.Location)
		call = call.FormatOptionsUseInt64Timestamp(true).TimeoutMs(10_000).MaxResults(int64(most.rows + 1 - len(reader.table.Rows)))
		if page != "" {
			call = call.PageToken(page)
		}
		answer, err := call.Do()
		switch {
		case err != nil:
			return &reader.table, err
		case !answer.JobComplete:
			continue // it waited for ten seconds; the deadline is the context's
		}
		if err := reader.take(answer); err != nil {
			return &reader.table, err
		}
		if page = answer.PageToken; page == "" {
			return &reader.table, nil
		}
	}
}

// cancel ends a job on the server. One that never came to be, or is done, needs none.
func (b *bigQuery) cancel(service *bigquery.Service, job *bigquery.JobReference) {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	_, _ = service.Jobs.Cancel(b.project, job.JobId).Context(ctx).Location(job.Location).Do()
}

// bill asks what the job is billed for. The result stands without it.
func (b *bigQuery) bill(ctx context.Context, service *bigquery.Service, job *bigquery.JobReference, usage *alert.Usage) {
	done, err := service.Jobs.Get(b.project, job.JobId).Context(ctx).Location(job.Location).Do()
	if err != nil || done.Statistics == nil || done.Statistics.Query == nil {
		return
	}
	usage.BytesBilled, usage.CacheHit = done.Statistics.Query.TotalBytesBilled, done.Statistics.Query.CacheHit
	usage.Price(b.price)
}

// forget implements source; there are no sessions.
func (*bigQuery) forget() {}

// close implements source.
func (*bigQuery) close() error { return nil }

func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return hex.EncodeToString(id[:])
}

// labels tell in the service's own lists which alert and run a job belongs to.
func labels(s statement) map[string]string {
	out := map[string]string{"application": "sqlsentinel"}
	for name, value := range map[string]string{"alert": s.alert, "run": s.run} {
		if text := label(value); text != "" {
			out[name] = text
		}
	}
	return out
}

// failed tells a session that did not come about from a query that failed.
func (b *bigQuery) failed(err error) error {
	if errors.As(err, new(*connectError)) || noSession(err) {
		return &connectError{err}
	}
	return fmt.Errorf("BigQuery: %w", err)
}
