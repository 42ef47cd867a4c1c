package cloud

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Channels are those that have a queue and a sender function each.
var Channels = []string{"email", "slack", "webhook"}

// Environment is what the stack tells its functions, by environment variables.
type Environment struct {
	Stack       string            // SENTINEL_STACK; also the scope of everything it stores
	Table       string            // SENTINEL_TABLE
	Queues      map[string]string // SENTINEL_QUEUE_EMAIL, …: URLs by channel
	DeadLetters map[string]string // SENTINEL_DEAD_LETTERS_EMAIL, …
	Bucket      string            // SENTINEL_BUCKET
	Group       string            // SENTINEL_SCHEDULE_GROUP
	Target      string            // SENTINEL_QUERY_ARN
	Role        string            // SENTINEL_SCHEDULE_ROLE_ARN
	TickLetters string            // SENTINEL_TICK_DEAD_LETTERS_ARN
	QueryLimit  time.Duration     // SENTINEL_QUERY_TIMEOUT, in seconds: the query function's
	SenderLimit time.Duration     // SENTINEL_SENDER_TIMEOUT, in seconds: the senders'
	LeaseMargin time.Duration     // SENTINEL_LEASE_MARGIN, in seconds; zero means the default
	SweepAfter  time.Duration     // SENTINEL_SWEEP_AFTER, in seconds; zero means the default
	LogLevel    string            // LOG_LEVEL
}

// ReadEnvironment reads the variables. What the names list says is required; the error says
// everything that is missing at once.
func ReadEnvironment(required ...string) (Environment, error) {
	var wrong []error
	for _, name := range required {
		if os.Getenv(name) == "" {
			wrong = append(wrong, fmt.Errorf("the environment variable %s is missing; the stack sets it", name))
		}
	}
	number := func(name string) time.Duration {
		text := os.Getenv(name)
		if text == "" {
			return 0
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			wrong = append(wrong, fmt.Errorf("the environment variable %s is no number of seconds", name))
		}
		return time.Duration(n) * time.Second
	}
	e := Environment{
		Stack: os.Getenv("SENTINEL_STACK"), Table: os.Getenv("SENTINEL_TABLE"), Bucket: os.Getenv("SENTINEL_BUCKET"),
		Group: os.Getenv("SENTINEL_SCHEDULE_GROUP"), Target: os.Getenv("SENTINEL_QUERY_ARN"), Role: os.Getenv("SENTINEL_SCHEDULE_ROLE_ARN"),
		TickLetters: os.Getenv("SENTINEL_TICK_DEAD_LETTERS_ARN"), LogLevel: os.Getenv("LOG_LEVEL"),
		QueryLimit: number("SENTINEL_QUERY_TIMEOUT"), SenderLimit: number("SENTINEL_SENDER_TIMEOUT"), LeaseMargin: number("SENTINEL_LEASE_MARGIN"), SweepAfter: number("SENTINEL_SWEEP_AFTER"),
		Queues: map[string]string{}, DeadLetters: map[string]string{},
	}
	for _, channel := range Channels {
		e.Queues[channel] = os.Getenv("SENTINEL_QUEUE_" + strings.ToUpper(channel))
		e.DeadLetters[channel] = os.Getenv("SENTINEL_DEAD_LETTERS_" + strings.ToUpper(channel))
	}
	return e, errors.Join(wrong...)
}

// Store is the table of the stack.
func (e Environment) Store(c aws.Config) (*Store, error) {
	return NewStore(StoreOptions{AWS: c, Table: e.Table})
}
