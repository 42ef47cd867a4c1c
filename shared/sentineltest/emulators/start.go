package emulators

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"github.com/sqlsentinel/sqlsentinel/shared/sentineltest/servers"
)

func startDynamoDB(home, dir string, port int) (*servers.Process, error) {
	return servers.Start(dir, nil, syscall.SIGKILL, "CorsParams", "java", "-Xmx1g", "-cp", filepath.Join(home, "*"),
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-port", strconv.Itoa(port), "-disableTelemetry")
}

func startElasticMQ(home, dir string, port int) (*servers.Process, error) {
	settings := filepath.Join(dir, "elasticmq.conf")
	text := fmt.Sprintf(`include classpath("application.conf")
node-address { protocol = http, host = 127.0.0.1, port = %d, context-path = "" }
rest-sqs { enabled = true, bind-port = %d, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
`, port, port)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the settings: %w", err)
	}
	return servers.Start(dir, nil, syscall.SIGKILL, "started in", "java", "-Xmx512m", "-Dconfig.file="+settings, "-cp", filepath.Join(home, "*"), "org.elasticmq.server.Main")
}

func startMinistack(home, dir string, port int) (*servers.Process, error) {
	return runMinistack(home, dir, port, false)
}

func runMinistack(home, dir string, port int, iam bool) (*servers.Process, error) {
	_, here, _, _ := runtime.Caller(0)
	scheme, safety := "http", []string{}
	if iam {
		// Its functions inherit whom it trusts: itself, and not those of this machine.
		trusted := filepath.Join(dir, "ministack-tls", "server.crt")
		scheme, safety = "https", []string{"AUTH=true", "USE_SSL=1", "SSL_CERT_FILE=" + trusted, "REQUESTS_CA_BUNDLE=" + trusted, "AWS_CA_BUNDLE=" + trusted}
	}
	args := append([]string{
		"GATEWAY_PORT=" + strconv.Itoa(port), "BIND_HOST=127.0.0.1", "MINISTACK_HOST=localhost", fmt.Sprintf("AWS_ENDPOINT_URL=%s://localhost:%d", scheme, port),
		"LAMBDA_EXECUTOR=local", "TMPDIR=" + dir, "S3_DATA_DIR=" + filepath.Join(dir, "s3"), "STATE_DIR=" + filepath.Join(dir, "state"),
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}, safety...)
	args = append(args, filepath.Join(home, "bin", "python"), filepath.Join(filepath.Dir(here), "start_ministack.py"))
	return servers.Start(dir, nil, syscall.SIGKILL, "", "env", args...)
}

func startBigQuery(home, dir string, port int) (*servers.Process, error) {
	return runPython(home, dir, "start_bigquery.py", port)
}

func startSnowflake(home, dir string, port int) (*servers.Process, error) {
	return runPython(home, dir, "start_snowflake.py", port)
}

func runPython(home, dir, script string, port int) (*servers.Process, error) {
	_, here, _, _ := runtime.Caller(0)
	return servers.Start(dir, nil, syscall.SIGKILL, "Uvicorn running", "env", "HOME="+dir, "TMPDIR="+dir,
		filepath.Join(home, "bin", "python"), filepath.Join(filepath.Dir(here), script), strconv.Itoa(port))
}
