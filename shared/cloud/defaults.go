package cloud

// What a stack has that chooses nothing: infra deploys it, and `sqlsentinel estimate` reckons
// with it.
const (
	// DefaultArchitecture is that of the functions.
	DefaultArchitecture = "arm64"
	// DefaultMemory is that of each function, in MB.
	DefaultMemory = 256
	// DefaultQueryTimeout is that of the query function, in seconds.
	DefaultQueryTimeout = 120
	// DefaultSenderTimeout is that of each sender, in seconds.
	DefaultSenderTimeout = 60
	// DefaultLogDays is how long the functions' logs are kept.
	DefaultLogDays = 30
	// AsyncAge is for how many seconds Lambda keeps the event of a tick, or of sync, that
	// finds no free place, before it is a dead letter.
	AsyncAge = 900
)
