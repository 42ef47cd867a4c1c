package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/sqlsentinel/sqlsentinel/shared/alert"
)

// underWay is how many alerts of a database are evaluated at once: while some query, the
// others wait for their turn or for their commit, and those that wait together share an
// fsync. No more than its connections query at a time; the query runner sees to that.
const underWay = 64

// forEach calls do with the index of every alert, started in the order of the file. It
// begins no more when ctx ends, and returns when all that it began are done.
func (s *session) forEach(ctx context.Context, alerts []alert.Alert, do func(i int)) {
	byDatabase := map[string][]int{}
	for i, x := range alerts {
		byDatabase[x.Database] = append(byDatabase[x.Database], i)
	}
	var workers sync.WaitGroup
	for name, indexes := range byDatabase {
		var next atomic.Int64
		for range min(max(underWay, s.connections(name)), len(indexes)) {
			workers.Go(func() {
				for n := next.Add(1) - 1; n < int64(len(indexes)) && ctx.Err() == nil; n = next.Add(1) - 1 {
					do(indexes[n])
				}
			})
		}
	}
	workers.Wait()
}

// connections is how many queries a database takes at once.
func (s *session) connections(database string) int {
	if n := s.file.Databases[database].MaxConnections; n > 0 {
		return n
	}
	return alert.DefaultMaxConnections
}
